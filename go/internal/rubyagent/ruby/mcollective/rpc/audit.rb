# frozen_string_literal: true

module MCollective
  module RPC
    # A plugin that records requests. The last class that inherits from it is asked.
    class Audit
      def self.inherited(klass)
        super
        PluginManager.delete('rpcaudit_plugin')
        PluginManager << { type: 'rpcaudit_plugin', class: klass.to_s }
      end

      def audit_request(_request, _connection)
        Log.error('audit_request is not implemented by the audit plugin')
      end
    end
  end
end
