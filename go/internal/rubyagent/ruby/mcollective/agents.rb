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
    end

    def agentlist
      self.class.agentlist
    end

    def include?(agentname)
      agentlist.include?(agentname)
    end
  end
end
