# frozen_string_literal: true

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
        return if name == 'data'

        agent_class(name).tap { |klass| klass.activate? && MCollective::DDL.new(name) }
      rescue StandardError, ScriptError => e
        MCollective::Log.debug("Not prepared for #{name}: #{e.class}: #{e}")
      end

      # Takes a request as JSON and returns the reply as JSON, null when none is wanted.
      def answer(text)
        message = JSON.parse(text).transform_keys(&:to_sym)
        configure
        Plain.json(message[:dataplugin] ? query(message) : act(message))
      rescue StandardError, ScriptError, SystemStackError, NoMemoryError => e
        MCollective::Log.error("#{e.class}: #{e}\n#{Array(e.backtrace).first(40).join("\n\t")}")
        Plain.json(failure("#{e.class}: #{e.message}"))
      end

      private

      def act(message)
        klass = agent_class(message[:agent])
        return failure("agent #{message[:agent]} is not active on this node") unless klass.activate?

        agent = klass.new
        Timeout.timeout(agent.timeout) { agent.handlemsg(message, nil) }
      rescue Timeout::Error
        failure("agent #{message[:agent]} did not finish within its timeout of #{agent.timeout} s")
      end

      def query(message)
        name = MCollective::Data.pluginname(message[:dataplugin])
        MCollective::PluginManager.loadclass("MCollective::Data::#{name.capitalize}")
        plugin = MCollective::Data[name]
        return failure("data plugin #{message[:dataplugin]} is not active on this node") unless plugin.class.activate?

        { statuscode: 0, statusmsg: 'OK', data: plugin.lookup(message[:query]).to_hash }
      end

      # Returns the class of an agent, loading it unless that was done.
      def agent_class(name)
        raise(ArgumentError, "agent #{name.inspect}: no such name") unless name.to_s.match?(/\A[a-z0-9_]+\z/)

        find_class(name) || begin
          load_class(name)
          find_class(name) || raise(LoadError, "mcollective/agent/#{name}.rb defines no agent of that name")
        end
      end

      def find_class(name)
        constant = MCollective::Agent.constants.find { |c| c.to_s.casecmp?(name) }
        klass = constant && MCollective::Agent.const_get(constant)
        klass if klass.is_a?(Class) && klass < MCollective::RPC::Agent
      end

      def load_class(name)
        MCollective::PluginManager.loadclass("MCollective::Agent::#{name.capitalize}")
      rescue StandardError, ScriptError => e
        raise(e.class, "agent #{name} cannot be loaded: #{e.message}", e.backtrace)
      end

      def failure(message)
        { statuscode: 1, statusmsg: message, data: {} }
      end
    end
  end
end
