# frozen_string_literal: true

module MCollective
  # The configuration: a file of key = value lines, the files beside it in plugin.d, and what the
  # daemon says over both.
  class Config
    include Singleton

    # Defaults of what agents ask for; their type is the type of the value.
    DEFAULTS = {
      'activate_agents' => true, 'classesfile' => '/opt/puppetlabs/puppet/cache/state/classes.txt',
      'collectives' => ['mcollective'], 'color' => true, 'connection_timeout' => nil, 'connector' => 'nats',
      'daemonize' => false, 'default_batch_size' => 0, 'default_batch_sleep_time' => 1,
      'default_discovery_method' => 'mc', 'default_discovery_options' => [], 'direct_addressing' => true,
      'direct_addressing_threshold' => 10, 'discovery_timeout' => 2, 'fact_cache_time' => 300, 'factsource' => 'yaml',
      'identity' => nil, 'keeplogs' => 5, 'libdir' => [], 'logfacility' => 'user', 'logfile' => nil,
      'logger_type' => 'console', 'loglevel' => 'info', 'main_collective' => nil, 'max_log_size' => 2_097_152,
      'mode' => :client, 'publish_timeout' => 2, 'queueprefix' => nil, 'registerinterval' => 0, 'registration' => nil,
      'registration_collective' => nil, 'registration_splay' => true, 'rpcaudit' => false, 'rpcauditprovider' => '',
      'rpcauthorization' => false, 'rpcauthprovider' => '', 'rpchelptemplate' => nil, 'rpclimitmethod' => :first,
      'securityprovider' => 'choria', 'soft_shutdown' => true, 'soft_shutdown_timeout' => nil,
      'ssl_cipher' => 'aes-256-cbc', 'threaded' => false, 'ttl' => 60
    }.freeze

    LINE = /\A\s*([^#\s=][^=]*?)\s*=\s*(.*?)\s*\z/.freeze

    attr_accessor(*DEFAULTS.keys.map(&:to_sym))
    attr_reader :configfile, :configdir, :configured, :pluginconf

    # An alias of old agents.
    alias topicprefix queueprefix
    alias topicsep queueprefix

    def initialize
      @overrides = {}
      set_config_defaults(nil)
    end

    # Values that win over all files; they are there before a file is loaded too.
    def override(values)
      values.each { |key, value| @overrides[key.to_s] = value.to_s }
      apply_overrides
    end

    # Reads a file. What agents do not ask for may stand in it.
    def loadconfig(configfile)
      set_config_defaults(configfile)
      each_setting(configfile) { |key, value| set(key, value) }
      read_plugin_config_dir(File.join(@configdir, 'plugin.d'))
      complete
      true
    end

    # The settings may hold secrets, which do not belong into errors.
    def inspect
      "#<#{self.class} #{@configfile}>"
    end

    # Takes the configuration as complete when there is no file.
    def complete
      apply_overrides
      @identity = Socket.gethostname if @identity.to_s.empty?
      raise("identity #{@identity.inspect}: want letters, digits, _, - and .") unless @identity.match?(/\A[\w.-]+\z/)

      @main_collective ||= @collectives.first
      @configured = true
      Facts.load_provider(@factsource)
      Log.unconfigure
    end

    def set_config_defaults(configfile) # rubocop:disable Naming/AccessorMethodName
      DEFAULTS.each { |name, value| instance_variable_set("@#{name}", value.is_a?(Array) ? value.dup : value) }
      @pluginconf = {}
      @configured = false
      @configfile = configfile
      @configdir = configfile ? File.dirname(File.expand_path(configfile)) : nil
    end

    # Reads the files of a directory: k = v in NAME.cfg is plugin.NAME.k = v.
    def read_plugin_config_dir(dir)
      return unless File.directory?(dir)

      Dir.children(dir).grep(/\A\w+\.cfg\z/).sort.each do |file|
        each_setting(File.join(dir, file)) { |key, value| @pluginconf["#{File.basename(file, '.cfg')}.#{key}"] = value }
      end
    end

    private

    def each_setting(file)
      File.readlines(file, encoding: 'UTF-8').each do |line|
        match = LINE.match(line.scrub)
        yield(match[1], match[2]) if match
      end
    end

    def apply_overrides
      @overrides.each { |key, value| set(key, value) }
    end

    def set(key, value)
      case key
      when /\Aplugin\.(.+)\z/ then @pluginconf[Regexp.last_match(1)] = value
      when 'libdir' then add_libdirs(value)
      when 'identity', 'main_collective' then instance_variable_set("@#{key}", value)
      when 'rpclimitmethod', 'mode' then instance_variable_set("@#{key}", value.to_sym)
      when *DEFAULTS.keys then instance_variable_set("@#{key}", typed(value, DEFAULTS[key], key))
      end
    end

    def typed(value, default, key)
      case default
      when true, false then Util.str_to_bool(value)
      when Integer then Integer(value)
      when Array then value.split(',').map(&:strip)
      else value
      end
    rescue StandardError => e
      raise("#{key} = #{value}: #{e.message}")
    end

    def add_libdirs(value)
      value.split(File::PATH_SEPARATOR).each do |dir|
        raise("libdir #{dir}: want an absolute path") unless Util.absolute_path?(dir)

        @libdir << dir unless @libdir.include?(dir)
        $LOAD_PATH.unshift(dir) unless $LOAD_PATH.include?(dir)
      end
    end
  end
end
