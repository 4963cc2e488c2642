module MCollective
  module Agent
    # Uses all that agents may use. Each action answers the checks that failed; none is right.
    class Api < RPC::Agent
      metadata :name => "ignored"

      activate_when do
        MCollective::PluginManager.loadclass("MCollective::Util::Apihelper")
        true
      end

      authorized_by :denier

      def startup_hook
        @started = @config.pluginconf.fetch("api.started", "not configured")
      end

      def before_processing_hook(msg, connection)
        @before = [msg[:requestid], connection]
      end

      def after_processing_hook
        reply[:after] = "hooked" if request.action == "hooks"
      end

      def failures
        @failures ||= []
      end

      def check(what, got, want)
        failures << "#{what}: #{got.inspect}, want #{want.inspect}" unless want === got || want == got
      end

      def raises(what, klass, message = //)
        yield
        failures << "#{what}: no error, want #{klass}"
      rescue klass => e
        failures << "#{what}: #{e.message}, want #{message}" unless e.message =~ message
      end

      def done
        reply[:failures] = failures
      end

      action "hooks" do
        check "startup_hook", @started, "from the file"
        check "before hook", @before, [request.uniqid, nil]
        check "agent_name", agent_name, "api"
        self.agent_name = "other"
        check "agent_name=", @agent_name, "other"
        check "timeout", timeout, 20
        check "meta", meta[:author], "Choria"
        check "ddl", ddl.pluginname, "api"
        check "config", [config, @config], [Config.instance] * 2
        check "logger", logger, Log
        check "actions", self.class.actions.include?("hooks"), true
        check "active", self.class.activate?, true
        check "respond_to authorization_hook", respond_to?("authorization_hook"), true
        raises("action without block", RuntimeError) { self.class.action("nothing") }
        done
      end

      action "request" do
        check "agent", request.agent, "api"
        check "action", request.action, "request"
        check "caller", request.caller, "choria=rip.mcollective"
        check "sender", request.sender, "rip.mcollective"
        check "uniqid", request.uniqid, /\A\h{32}\z/
        check "time", request.time, Integer
        check "data", request.data, Hash
        check "[symbol]", request[:word], "four"
        check "[string]", request["word"], "four"
        check "[missing]", request[:missing], nil
        check "include?", [request.include?(:word), request.include?("word"), request.include?(:missing)], [true, true, false]
        check "fetch", [request.fetch(:word, 1), request.fetch(:missing, 1)], ["four", 1]
        check "should_respond?", request.should_respond?, true
        check "to_hash", request.to_hash[:action], "request"
        check "to_json", JSON.parse(request.to_json)["data"], request.data
        check "undeclared", request[:undeclared], { "deep" => [1, 2.5, nil, true] }
        check "validate!", request.validate!, true
        check "ddl", request.ddl, ddl
        request.action = "renamed"
        check "action=", request.action, "renamed"
        done
      end

      action "reply" do
        check "default", reply[:list], [1, { "a" => "b" }]
        reply[:list] << 2
        check "prefilled copies", ddl.action_interface("reply")[:output][:list][:default], [1, { "a" => "b" }]
        check "nil default", [reply.data.include?(:none), reply[:none]], [true, nil]
        check "fetch", [reply.fetch(:text, 1), reply.fetch(:nothing, 1)], ["dflt", 1]
        reply.data[:direct] = 1
        reply.data.merge!(:merged => 2)
        reply["string"] = 3
        reply.statusmsg = "Fine"
        check "statuscode", reply.statuscode, 0
        check "to_hash", reply.to_hash.keys, [:statuscode, :statusmsg, :data]
        done
      end

      action "failing" do
        reply[:text] = "before"
        case request[:how]
        when "fail" then reply.fail("failed softly"); reply[:text] = "after"
        when "fail_code" then reply.fail("failed softly", 4)
        when "fail!" then reply.fail!("failed hard"); reply[:text] = "after"
        when /\Acode(\d+)/ then reply.fail!("code", $1.to_i)
        when "aborted" then raise(RPCAborted, "aborted")
        when "unknown" then raise(UnknownRPCAction, "unknown")
        when "missing" then raise(MissingRPCData, "missing")
        when "invalid" then raise(InvalidRPCData, "invalid")
        when "ddl" then raise(DDLValidationError, "ddl")
        when "error" then raise(UnknownRPCError, "error")
        when "other" then raise("other")
        when "load" then require "no/such/library"
        when "deep" then deep
        when "validate_missing" then validate :nothere, String
        when "validate_invalid" then validate :how, /^x/
        when "validate_ok"
          validate :how, String
          validate :how, /validate/
          validate :how, "ok$"
          validate :how, %w[validate_ok]
          validate :how, :string
          validate :how, :shellsafe
        end
      end

      def deep
        deep + 1
      end

      action "run" do
        out, err = [], +""
        check "status", run("exit 3"), 3
        check "symbols", run("echo out; echo err >&2", :stdout => :out, :stderr => :err), 0
        check "stdout in reply", reply[:out], "out\n"
        check "stderr in reply", reply[:err], "err\n"
        run("echo out; echo err >&2", :stdout => :out, :stderr => :err, :chomp => true)
        check "chomp", [reply[:out], reply[:err]], %w[out err]
        run("echo a; echo b >&2", :stdout => out, :stderr => err)
        check "objects", [out.join, err], ["a\n", "b\n"]
        run("cat", :stdin => "fed", :stdout => :out)
        check "stdin", reply[:out], "fed"
        run("pwd", :cwd => "/", :stdout => :out, :chomp => true)
        check "cwd", reply[:out], "/"
        run("pwd -P", :stdout => :out, :chomp => true)
        check "default cwd", reply[:out], File.realpath(Dir.tmpdir)
        run("echo $LC_ALL:$A", :environment => { "A" => "b" }, :stdout => :out, :chomp => true)
        check "environment", reply[:out], "C:b"
        start = Time.now
        check "killed", run("exec sleep 30", :timeout => 1), -1
        check "timeout", Time.now - start < 15, true
        check "shellescape", shellescape("a b"), "a\\ b"
        done
      end

      action "former" do
        check "exists?", [File.exists?(__FILE__), File.exists?("/no/such"), Dir.exists?("/"), Dir.exists?(__FILE__)], [true, false, true, false]
        check "Fixnum", [Fixnum, Bignum, 7.is_a?(Fixnum)], [Integer, Integer, true]
        check "=~", [7 =~ /7/, true =~ /t/, nil =~ /n/, "seven" =~ /v/], [nil, nil, nil, 2]
        check "taint", ["text".untaint, "text".taint.to_s, "text".tainted?], ["text", "text", false]
        require "uri"
        check "URI", [URI.escape("a b"), URI.unescape("a%20b"), URI.encode("a b"), URI.parse("http://x/").host], ["a%20b", "a b", "a%20b", "x"]
        check "in_groups_of", [1, 2, 3, 4, 5].in_groups_of(2), [[1, 2], [3, 4], [5, nil]]
        groups = []
        [1, 2, 3].in_groups_of(2, 0) { |group, last| groups << [group, last] }
        [1, 2, 3].in_groups_of(2) { |group| groups << group }
        check "in_groups_of with a block", groups, [[[1, 2], false], [[3, 0], true], [1, 2], [3, nil]]
        check "uuid", [SSL.uuid("test"), SSL.uuid == SSL.uuid], ["4be0643f-1d98-573b-97cd-ca98a65347dd", false]
        check "base64", [SSL.base64_encode("a\xff"), SSL.base64_decode("Yf8=\n").bytes, SSL.md5("")], ["Yf8=\n", [97, 255], "d41d8cd98f00b204e9800998ecf8427e"]
        raises("base64", ArgumentError) { SSL.base64_decode("a*b") }
        self.reply = reply
        self.request = request
        done
      end

      action "shell" do
        shell = Shell.new("echo $X; exit 2", "environment" => { "X" => "y" }, "timeout" => 5)
        check "class", shell.class, MCollective::Shell
        shell.runcommand
        check "stdout", shell.stdout, "y\n"
        check "stderr", shell.stderr, ""
        check "status", shell.status.exitstatus, 2
        check "attributes", [shell.command, shell.timeout, shell.cwd, shell.environment], ["echo $X; exit 2", 5, Dir.tmpdir, { "LC_ALL" => "C", "X" => "y" }]
        bare = Shell.new("echo ${LC_ALL-none}", :environment => nil)
        ENV.delete("LC_ALL")
        bare.runcommand
        check "no environment", bare.stdout, "none\n"
        unset = Shell.new("echo ${HOME-none}", :environment => { "HOME" => nil })
        unset.runcommand
        check "nil unsets", unset.stdout, "none\n"
        raises("cwd", RuntimeError, /no_such/) { Shell.new("true", :cwd => "/no_such") }
        raises("stdout", RuntimeError, /<</) { Shell.new("true", :stdout => 1.0..2.0) }
        raises("timeout", RuntimeError, /timeout/) { Shell.new("true", :timeout => -1) }
        deaf = Shell.new("trap '' TERM; while :; do sleep 0.1; done", :timeout => 1)
        deaf.runcommand
        check "killed", deaf.status.termsig, 9
        ended = nil
        Thread.new { ended = Shell.new("exec sleep 30", :timeout => :on_thread_exit); Thread.new { ended.runcommand }.join(0.1) }.join
        big = Shell.new("head -c 300000 /dev/zero | tr '\\0' x")
        big.runcommand
        check "much output", big.stdout.size, 300_000
        done
      end

      action "config" do
        c = Config.instance
        check "configured", c.configured, true
        check "pluginconf", c.pluginconf["api.setting"], "value = with = signs"
        check "plugin.d", c.pluginconf["api.started"], "from the file"
        check "plugin.d names", c.pluginconf.keys.grep(/odd/), []
        check "libdir", c.libdir, Array
        check "configdir", File.exist?(File.join(c.configdir, File.basename(c.configfile))), true
        check "identity", c.identity, "ruby.example.net"
        check "collectives", [c.collectives, c.main_collective], [%w[mcollective other], "mcollective"]
        check "authorization", [c.rpcauthorization, c.rpcaudit, c.daemonize], [false, false, false]
        check "numbers", [c.fact_cache_time, c.keeplogs, c.max_log_size, c.ttl, c.registerinterval], [300, 5, 2_097_152, 60, 300]
        check "booleans", [c.activate_agents, c.color, c.direct_addressing], [true, true, true]
        check "files", [c.classesfile, c.logfile.nil? || c.logfile.is_a?(String)], [File.join(c.configdir, "classes.txt"), true]
        check "names", [c.factsource, c.securityprovider, c.rpcauthprovider, c.loglevel].all? { |v| v.is_a?(String) }, true
        check "mode", c.mode, :server
        check "respond", %i[logger_type connector].all? { |m| c.respond_to?(m) }, true
        check "not inspected", c.inspect.include?("value = with"), false
        done
      end

      action "log" do
        Log.debug("at debug")
        Log.info("at info")
        Log.warn("at warn")
        Log.error("at error\nin two lines")
        Log.fatal("at fatal")
        Log.log(:info, "by level")
        check "instance", Log.instance, Log
        Log.configure
        Log.reopen
        Log.cycle_level
        Log.cycle_level
        Log.cycle_level
        Log.cycle_level
        Log.cycle_level
        Log.set_logger(MCollective::Logger::Console_logger.new)
        Log.info("on the console")
        done
      end

      action "util" do
        check "windows?", Util.windows?, false
        check "str_to_bool", %w[1 yes TRUE y t 0 no False n f].map { |v| Util.str_to_bool(v) }, [true] * 5 + [false] * 5
        check "str_to_bool of booleans", [Util.str_to_bool(true), Util.str_to_bool(false)], [true, false]
        raises("str_to_bool", RuntimeError, /maybe/) { Util.str_to_bool("maybe") }
        check "shellescape", Util.shellescape("a;b"), "a\\;b"
        check "shellescape of nothing", Util.shellescape(""), "''"
        before = Util::Apihelper.loads
        Util.loadclass("MCollective::Util::Apihelper")
        check "loadclass loads again", Util::Apihelper.loads, 1
        check "loaded before", before, 1
        check "get_fact", [Util.get_fact("country"), Util.get_fact("cores"), Util.get_fact("nosuch")], ["mt", "4", nil]
        check "has_fact?", [Util.has_fact?("country", "mt", "=="), Util.has_fact?("country", "m.", "=~"), Util.has_fact?("country", "/^x/", "=~"),
                            Util.has_fact?("cores", "10", "<"), Util.has_fact?("cores", "4", "!="), Util.has_fact?("cores", "3", ">="), Util.has_fact?("nosuch", "1", "==")],
              [true, true, false, true, false, true, false]
        check "has_cf_class?", [Util.has_cf_class?("apache"), Util.has_cf_class?("/apa/"), Util.has_cf_class?("nginx")], [true, true, false]
        check "has_identity?", [Util.has_identity?("ruby.example.net"), Util.has_identity?("/^ruby/"), Util.has_identity?("other")], [true, true, false]
        check "has_agent?", [Util.has_agent?("api"), Util.has_agent?("/^ap/"), Util.has_agent?("nosuch"), Util.has_agent?("rpcutil")], [true, true, false, true]
        check "agentlist", Agents.agentlist.include?("api"), true
        check "versioncmp", [%w[1.2 1.10], %w[1.2 1.2], %w[2.0 1.9.9], %w[1.0-rc1 1.0], %w[0.22.0 0.22]].map { |a, b| Util.versioncmp(a, b) }, [-1, 0, 1, 1, 1]
        check "absolute_path?", [Util.absolute_path?("/x"), Util.absolute_path?("x"), Util.absolute_path?("C:\\x", "/", "\\"), Util.absolute_path?("x/y", "/", "\\")], [true, false, true, false]
        check "command_in_path?", [Util.command_in_path?("sh"), Util.command_in_path?("no-such-command")], [true, false]
        check "versions", [Util.ruby_version, Util.mcollective_version], [RUBY_VERSION, MCollective::VERSION]
        check "MCollective.version", MCollective.version, "2.24.1"
        check "empty_filter", Util.empty_filter?(Util.empty_filter), true
        check "parse_fact_string", Util.parse_fact_string("a=b"), { :fact => "a", :operator => "==", :value => "b" }
        check "parse_fact_string >=", Util.parse_fact_string("a => 1"), { :fact => "a", :operator => ">=", :value => "1" }
        check "parse_fact_string re", Util.parse_fact_string("a=/b/"), { :fact => "a", :operator => "=~", :value => "/b/" }
        check "parse_fact_string of none", Util.parse_fact_string("a"), false
        check "color", Util.color(:red), "\e[31m"
        check "colorize", Util.colorize(:green, "x"), "\e[32mx\e[0m"
        check "align_text", Util.align_text("a b", 80, 3), "   a b"
        check "terminal_dimensions", Util.terminal_dimensions, [0, 0]
        check "field_size", Util.field_size(%w[a bbb], 2), 3
        check "field_number", Util.field_number(30, 90), 3
        check "templatepath", Util.templatepath("nosuch.erb"), "/etc/mcollective/nosuch.erb"
        check "default_options", Util.default_options.keys, [:verbose, :disctimeout, :timeout, :config, :collective, :discovery_method, :discovery_options, :filter]
        check "config_file_for_user", Util.config_file_for_user, String
        h = Util::IndifferentHash.new
        h[:a] = { :b => 1 }
        check "IndifferentHash", [h["a"]["b"], h[:a][:b], h.key?(:a), h.fetch("a").class, h.include?("x")], [1, 1, true, Util::IndifferentHash, false]
        done
      end

      class Pluggable
        attr_reader :id

        def initialize
          @id = object_id
        end
      end

      action "plugins" do
        check "find", PluginManager.find(:agent), Array
        check "find agents", PluginManager.find("agent").include?("api"), true
        check "find ddl", PluginManager.find("agent", "ddl").include?("api"), true
        check "find_and_load", PluginManager.find_and_load("validator") { |name| name == "evenword_validator" }, ["MCollective::Validator::Evenword_validator"]
        PluginManager << { :type => "one", :class => "MCollective::Agent::Api::Pluggable" }
        PluginManager << { :type => "many", :class => "MCollective::Agent::Api::Pluggable", :single_instance => false }
        check "single", PluginManager["one"].id == PluginManager["one"].id, true
        check "not single", PluginManager["many"].id == PluginManager["many"].id, false
        check "include?", [PluginManager.include?("one"), PluginManager.include?("none")], [true, false]
        check "pluginlist", PluginManager.pluginlist.include?("one"), true
        check "grep", PluginManager.grep(/^ma/), ["many"]
        raises("twice", RuntimeError) { PluginManager << { :type => "one", :class => "String" } }
        PluginManager.delete("one")
        raises("deleted", RuntimeError) { PluginManager["one"] }
        raises("loadclass", LoadError) { PluginManager.loadclass("MCollective::Util::Nosuch") }
        PluginManager.loadclass("MCollective::Util::Nosuch", true)
        PluginManager.clear
        check "clear", PluginManager.pluginlist, []
        done
      end

      action "validators" do
        v = Validator
        check "types", [[1, :integer], [1.5, :float], [1, :number], ["a", :string], [true, :boolean], [[], :array], [{}, :hash]].all? { |x, t| v.validate(x, t) }, true
        raises("integer", ValidatorError) { v.validate("1", :integer) }
        raises("float", ValidatorError) { v.validate(1, :float) }
        raises("boolean", ValidatorError) { v.validate("true", :boolean) }
        check "class", v.validate("a", String), true
        raises("class", ValidatorError) { v.validate(1, String) }
        check "regex", [v.validate("abc", /b/), v.validate("abc", "b"), v.regex("abc", /^a/)], [true] * 3
        raises("regex", ValidatorError) { v.validate("abc", /x/) }
        check "list", v.validate("a", %w[a b]), true
        raises("list", ValidatorError) { v.array("c", %w[a b]) }
        check "length", v.length("abc", 3), true
        check "any length", v.length("abc", 0), true
        raises("length", ValidatorError) { v.length("abcd", 3) }
        check "shellsafe", v.shellsafe("a b"), true
        ["`", "$x", "a;b", "a|b", "a && b", "a > b", "a < b"].each { |s| raises("shellsafe #{s}", ValidatorError) { v.validate(s, :shellsafe) } }
        check "ipv4address", v.ipv4address("1.2.3.4"), true
        raises("ipv4address", ValidatorError) { v.ipv4address("::1") }
        raises("ipv4address", ValidatorError) { v.validate("1.2.3", :ipv4address) }
        check "ipv6address", v.ipv6address("::1"), true
        raises("ipv6address", ValidatorError) { v.ipv6address("1.2.3.4") }
        check "typecheck", v.typecheck(1, :integer), true
        check "plugin", [v.validate("even", :evenword), v.evenword("even"), v.has_validator?("evenword"), v.has_validator?("nosuch")], [true, true, true, false]
        raises("plugin", ValidatorError, /odd number/) { v.validate("odd", :evenword) }
        check "[]", v["evenword"], MCollective::Validator::EvenwordValidator
        raises("unknown", ValidatorError) { v.validate("x", :nosuch) }
        v.load_validators
        done
      end

      action "descriptions" do
        d = DDL.new("api", :agent)
        check "cached", d.equal?(DDL.new("api")), true
        check "actions", d.actions.include?("descriptions"), true
        check "meta", d.meta[:timeout], 20
        check "pluginname", d.pluginname, "api"
        check "entities", d.entities["reply"][:display], :always
        check "interface", d.action_interface("request")[:input][:word][:type], :string
        check "unknown interface", d.action_interface("nosuch"), {}
        check "aggregate", d.action_interface("reply")[:aggregate], [{ :function => :summary, :args => [:text, { :format => "%s: %d" }] }]
        check "validate", d.validate_rpc_request("request", "word" => "four"), true
        check "validate symbols", d.validate_rpc_request("request", :word => "four"), true
        raises("missing", DDLValidationError, /word/) { d.validate_rpc_request("request", {}) }
        raises("invalid", DDLValidationError, /word/) { d.validate_rpc_request("request", "word" => "odd") }
        raises("too long", DDLValidationError) { d.validate_rpc_request("request", "word" => "abcdefghij") }
        raises("no action", DDLValidationError) { d.validate_rpc_request("nosuch", {}) }
        args = {}
        d.set_default_input_arguments("failing", args)
        check "defaults", args, { :how => "fail" }
        check "findddlfile", d.findddlfile, /api\.ddl\z/
        check "findddlfile of none", d.findddlfile("nosuch"), false
        check "help", d.help, /descriptions/
        check "usage", d.usage, /All/
        raises("no ddl", DDLValidationError) { DDL.new("nosuch") }
        q = DDL.new("fsize_data", :data)
        check "data", q.dataquery_interface[:output][:size][:default], 0
        check "string_to_boolean", %w[true t yes y 1 false f no n 0].map { |x| DDL.string_to_boolean(x) }, [true] * 5 + [false] * 5
        raises("string_to_boolean", DDLValidationError) { DDL.string_to_boolean("x") }
        check "string_to_number", [DDL.string_to_number("1"), DDL.string_to_number("1.5")], [1, 1.5]
        raises("string_to_number", DDLValidationError) { DDL.string_to_number("x") }
        json = DDL.new("jsononly", :agent)
        check "from JSON", json.action_interface("go")[:input][:name], { :optional => false, :prompt => "N", :description => "d", :type => :string, :validation => :shellsafe, :maxlength => 5 }
        done
      end

      action "facts" do
        check "[]", Facts["country"], "mt"
        check "get_fact", Facts.get_fact("cores"), "4"
        check "all", Facts.get_fact(nil)["country"], "mt"
        check "nested", Facts["os"], { "name" => "Debian", "major" => "12" }
        check "has_fact?", [Facts.has_fact?("country", "mt"), Facts.has_fact?("country", "uk")], [true, false]
        check "provider", PluginManager["facts_plugin"].get_facts["country"], "mt"
        file = Config.instance.pluginconf["yaml"]
        before = File.read(file)
        File.write(file, before.sub("mt", "uk"))
        File.utime(Time.now, Time.now + 5, file)
        check "reloaded", Facts["country"], "uk"
        File.write(file, before)
        done
      end

      action "cache" do
        check "setup", Cache.setup(:api, 0.3), true
        check "has_cache?", [Cache.has_cache?(:api), Cache.has_cache?(:none)], [true, false]
        check "write", Cache.write(:api, :k, 1), 1
        check "read", Cache.read(:api, :k), 1
        check "ttl", Cache.ttl(:api, :k) > 0, true
        sleep 0.4
        raises("expired", RuntimeError) { Cache.read(:api, :k) }
        raises("unknown", RuntimeError) { Cache.read(:api, :none) }
        raises("unknown ttl", RuntimeError) { Cache.ttl(:api, :none) }
        raises("unknown cache", RuntimeError) { Cache.read(:none, :k) }
        check "synchronize", Cache.synchronize(:api) { 5 }, 5
        Cache.write(:api, :k, 1)
        Cache.invalidate!(:api, :k)
        raises("invalidated", RuntimeError) { Cache.read(:api, :k) }
        check "delete!", [Cache.delete!(:api), Cache.delete!(:api)], [true, false]
        done
      end

      action "data" do
        MCollective::Data.load_data_sources
        r = MCollective::Data.fsize(__FILE__)
        check "result", [r[:present], r.size, r.include?(:size), r.keys], [true, File.size(__FILE__), true, [:present, :size]]
        check "lookup", MCollective::Data["fsize"].lookup("/nosuch")[:present], false
        raises("not scalar", RuntimeError) { MCollective::Data["fsize"].result[:x] = [] }
        raises("no query", DDLValidationError) { MCollective::Data["fsize"].ddl_validate("x" * 200) }
        done
      end

      action "script" do
        implemented_by "script.sh"
      end

      action "classes" do
        check "errors", [RPCAborted, UnknownRPCAction, MissingRPCData, InvalidRPCData, UnknownRPCError].all? { |k| k < RPCError }, true
        check "runtime errors", [DDLValidationError, ValidatorError, ClientTimeoutError, MsgDoesNotMatchRequestID, MsgTTLExpired, NotTargettedAtUs, SecurityValidationFailed].all? { |k| k < RuntimeError }, true
        check "backoff", [MessageNotReceived, UnexpectedMessageType].all? { |k| k < BackoffSuggestion }, true
        check "libraries", %w[JSON Timeout Digest::MD5 OptionParser Singleton Socket ERB Shellwords StringIO RbConfig Tempfile FileUtils Open3 OpenSSL].all? { |k| Object.const_get(k) }, true
        check "tmpdir", Dir.tmpdir, String
        require "mcollective/util/apihelper"
        %w[mcollective mcollective/rpc mcollective/util mcollective/ddl mcollective/shell mcollective/pluginmanager mcollective/facts].each { |l| require l }
        done
      end
    end
  end
end
