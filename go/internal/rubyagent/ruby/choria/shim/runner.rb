# frozen_string_literal: true

require_relative 'learner'
require_relative 'stopwatch'

module Choria
  module Shim
    # Runs actions of agents and queries of data plugins. What goes wrong becomes a reply too.
    class Runner
      def initialize(config, settings)
        @config = config
        @settings = settings
      end

      # Reads the configuration, once.
      def configure
        config = MCollective::Config.instance
        return if config.configured

        config.override({ 'daemonize' => '0', 'mode' => 'server', 'rpcauthorization' => '0', 'rpcaudit' => '0' }
          .merge(@settings))
        @config ? config.loadconfig(@config) : config.complete
      end

      # Loads all that an agent needs, as far as that can be known without a request. Errors are left
      # for the first request to meet again and tell of.
      def prepare(name)
        configure
        return MCollective::Data.load_data_sources if name == 'data'

        MCollective::Agents.class_of(name).tap { |klass| klass.activate? && MCollective::DDL.new(name) }
      rescue StandardError, ScriptError => e
        MCollective::Log.debug("Not prepared for #{name}: #{e.class}: #{e}")
      end

      # Takes a request as JSON and returns the reply as JSON, null when none is wanted. The block gets
      # the names of the libraries that the request requires, each before it is loaded.
      def answer(text, &block)
        @learner = Learner.new(&block)
        @learner.start
        message = JSON.parse(text).transform_keys(&:to_sym)
        configure
        Plain.json(message[:dataplugin] ? query(message) : act(message))
      rescue StandardError, ScriptError, SystemStackError, NoMemoryError => e
        MCollective::Log.error("#{e.class}: #{e}\n#{Array(e.backtrace).first(40).join("\n\t")}")
        Plain.json(failure("#{e.class}: #{e.message}"))
      ensure
        @learner.finish
      end

      private

      def act(message)
        klass = MCollective::Agents.class_of(message[:agent])
        return failure("agent #{message[:agent]} is not active on this node") unless klass.activate?

        agent = klass.new
        Timeout.timeout(agent.timeout) { agent.handlemsg(message, nil) }
      rescue Timeout::Error
        failure("agent #{message[:agent]} did not finish within its timeout of #{agent.timeout} s")
      end

      def query(message)
        name = MCollective::Data.pluginname(message[:dataplugin])
        unless MCollective::PluginManager.include?(name)
          MCollective::PluginManager.loadclass("MCollective::Data::#{name.capitalize}")
        end
        plugin = MCollective::Data[name]
        return failure("data plugin #{message[:dataplugin]} is not active on this node") unless plugin.class.activate?

        plugin.validate(message[:query])
        Stopwatch.new(@learner).limit(plugin.timeout) { plugin.query_data(message[:query]) }
        { statuscode: 0, statusmsg: 'OK', data: plugin.result.to_hash }
      end

      def failure(message)
        { statuscode: 1, statusmsg: message, data: {} }
      end
    end
  end
end
