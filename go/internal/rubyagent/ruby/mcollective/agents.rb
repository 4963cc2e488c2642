# frozen_string_literal: true

module MCollective
  # The agents of this node.
  class Agents
    # Names of agents that others see too, which are not in files of a library directory.
    BUILTIN = %w[choria_util discovery rpcutil].freeze

    class << self
      def agentlist
        (BUILTIN + PluginManager.find('agent')).uniq.sort
      end

      # Returns the class of an agent, loading it unless that was done.
      def class_of(name)
        raise(ArgumentError, "agent #{name.inspect}: no such name") unless name.to_s.match?(/\A[a-z0-9_]+\z/)

        find_class(name) || begin
          load_class(name)
          find_class(name) || raise(LoadError, "mcollective/agent/#{name}.rb defines no agent of that name")
        end
      end

      # Returns an agent if it is on disk and active here: what a daemon that has all its agents loaded
      # has as the plugin NAME_agent.
      def plugin(name)
        return unless PluginManager.find('agent').include?(name)

        klass = class_of(name)
        klass.new if klass.activate?
      end

      private

      def find_class(name)
        constant = Agent.constants.find { |c| c.to_s.casecmp?(name) }
        klass = constant && Agent.const_get(constant)
        klass if klass.is_a?(Class) && klass < RPC::Agent
      end

      def load_class(name)
        PluginManager.loadclass("MCollective::Agent::#{name.capitalize}")
      rescue StandardError, ScriptError => e
        raise(e.class, "agent #{name} cannot be loaded: #{e.message}", e.backtrace)
      end
    end

    def agentlist
      self.class.agentlist
    end

    def include?(agentname)
      agentlist.include?(agentname)
    end
  end
end
