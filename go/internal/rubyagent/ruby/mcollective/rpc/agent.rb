# frozen_string_literal: true

module MCollective
  module RPC
    # What agents inherit from:
    #
    #   module MCollective
    #     module Agent
    #       class Echo < RPC::Agent
    #         action 'echo' do
    #           reply[:message] = request[:message]
    #         end
    #       end
    #     end
    #   end
    class Agent
      attr_accessor :agent_name, :request, :reply
      attr_reader :logger, :config, :timeout, :ddl, :meta

      class << self
        # Defines an action.
        def action(name, &block)
          raise("Need to pass a body for the action #{name}") unless block

          define_method("#{name}_action", &block)
        end

        # Decides whether the agent works on this node.
        def activate_when(&block)
          define_singleton_method(:activate?, &block)
        end

        # Whether the agent is switched on: by the settings activate_agents and plugin.NAME.activate_agent.
        def activate?
          config = Config.instance
          name = to_s.split('::').last.downcase
          text = config.pluginconf["#{name}.activate_agent"]
          text.nil? ? config.activate_agents : Util.str_to_bool(text)
        end

        # Names of the actions.
        def actions
          public_instance_methods.map(&:to_s).grep(/_action\z/).map { |name| name.sub(/_action\z/, '') }.sort
        end

        # Descriptions are in files of their own.
        def metadata(_data)
          Log.warn("#{self} sets its metadata in code, which means nothing: it is read from its DDL")
        end

        # Has every request looked at by MCollective::Util::NAME, whose method authorize raises.
        def authorized_by(plugin)
          name = plugin.to_s.capitalize.gsub(/_(.)/) { Regexp.last_match(1).upcase }
          PluginManager.loadclass("MCollective::Util::#{name}") unless Util.const_defined?(name, false)
          define_method(:authorization_hook) { |request| Util.const_get(name).authorize(request) }
        end
      end

      def initialize
        @agent_name = self.class.to_s.split('::').last.downcase
        @logger = Log.instance
        @config = Config.instance
        load_ddl
        @timeout = @meta[:timeout] || 10
        self.class.authorized_by(@config.rpcauthprovider) if @config.rpcauthorization
        startup_hook
      end

      def load_ddl
        @ddl = DDL.new(@agent_name, :agent)
        @meta = @ddl.meta
      rescue StandardError => e
        raise(DDLValidationError, "Failed to load DDL for agent #{@agent_name}: #{e.message}")
      end

      # Runs the action that a message asks for. Returns the reply as a hash, nil when none is wanted.
      def handlemsg(msg, connection)
        @request = Request.new(msg, @ddl)
        @reply = Reply.new(@request.action, @ddl)
        process(msg, connection)
        after_processing_hook
        @request.should_respond? ? @reply.to_hash : nil
      end

      def startup_hook; end

      def before_processing_hook(_msg, _connection); end

      def after_processing_hook; end

      # Runs a shell command and returns its exit status, -1 when it has none.
      #
      # :stdout and :stderr are a symbol, the output of the reply to fill, or whatever takes <<;
      # :stdin, :cwd, :environment and :timeout are those of Shell; :chomp takes the last line break off.
      def run(command, options = {})
        shell_options = {}
        options.each do |name, value|
          shell_options[name.to_s] = %i[stdout stderr].include?(name) ? sink(value) : value unless name == :chomp
        end
        shell = Shell.new(command, shell_options)
        shell.runcommand
        %w[stdout stderr].each { |name| chomp(shell_options[name]) } if options[:chomp]
        shell.status.exitstatus || -1
      end

      # Errors quote what they are about: settings and requests must not get into replies with it.
      def inspect
        "#<#{self.class}>"
      end

      def shellescape(str)
        Util.shellescape(str)
      end

      # Holds an input against a rule of Validator.
      def validate(key, validation)
        raise(MissingRPCData, "please supply a #{key} argument") unless @request.include?(key)

        Validator.validate(@request[key], validation)
      rescue ValidatorError => e
        raise(InvalidRPCData, "Input #{key} did not pass validation: #{e.message}")
      end

      # Has a program do the action, see ActionRunner.
      def implemented_by(command, type = :json)
        runner = ActionRunner.new(command, @request, type)
        result = runner.run
        result[:data].each { |key, value| @reply[key.to_sym] = value }
        return unless result[:exitstatus].nonzero?

        status = result[:exitstatus]
        @reply.fail("Failed to execute #{runner.action} with #{runner.command}: exit code #{status}", status)
      end

      # Records the request. Whatever goes wrong with that does not keep the action from running.
      def audit_request(msg, connection)
        PluginManager['rpcaudit_plugin'].audit_request(msg, connection) if @config.rpcaudit
      rescue StandardError => e
        Log.warn("Audit failed: #{e.class}: #{e}")
      end

      private

      # The errors of an action by the status they become.
      CODES = { RPCAborted => 1, UnknownRPCAction => 2, MissingRPCData => 3, InvalidRPCData => 4,
                DDLValidationError => 4, UnknownRPCError => 5 }.freeze
      private_constant :CODES

      def process(msg, connection)
        method = "#{@request.action}_action"
        known = respond_to?(method)
        @request.validate! if known
        authorization_hook(@request) if respond_to?(:authorization_hook)
        audit_request(@request, connection)
        before_processing_hook(msg, connection)
        raise(UnknownRPCAction, "Unknown action '#{@request.action}' for agent '#{@request.agent}'") unless known

        public_send(method)
      rescue *CODES.keys => e
        @reply.fail(e.to_s, CODES.find { |klass, _| e.is_a?(klass) }.last)
      rescue StandardError, ScriptError, SystemStackError, NoMemoryError => e
        # A library that is missing, a stack too deep: errors of the action as any other.
        failed(e)
      end

      def failed(error)
        @reply.fail(error.to_s, 5)
        Log.error("#{@agent_name}##{@request.action} failed: #{error.class}: #{error}")
        Log.error(Array(error.backtrace).first(40).join("\n\t"))
      end

      # What takes the output of a command: the named output of the reply, or what is given.
      def sink(target)
        return target unless target.is_a?(Symbol)

        @reply[target] = +''
      end

      def chomp(text)
        text.chomp! if text.respond_to?(:chomp!)
      end
    end
  end
end
