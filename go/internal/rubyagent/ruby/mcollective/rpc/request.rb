# frozen_string_literal: true

module MCollective
  module RPC
    # What an action was asked to do. Inputs are read by name: request[:package].
    class Request
      attr_accessor :time, :action, :data, :sender, :agent, :uniqid, :caller, :ddl

      # msg is the request as the daemon has it, body the part that the client has made.
      def initialize(msg, ddl)
        body = msg[:body] || {}
        @time = msg[:msgtime]
        @action = body[:action] || body['action']
        @data = body[:data] || body['data'] || {}
        @sender = msg[:senderid]
        @agent = body[:agent] || body['agent']
        @uniqid = msg[:requestid]
        @caller = msg[:callerid] || 'unknown'
        @ddl = ddl
      end

      def include?(key)
        return false unless @data.is_a?(Hash)

        @data.include?(compatible_key(key))
      end

      def [](key)
        return nil unless @data.is_a?(Hash)

        @data[compatible_key(key)]
      end

      def fetch(key, default)
        return nil unless @data.is_a?(Hash)

        @data.fetch(compatible_key(key), default)
      end

      # Inputs do not belong into errors.
      def inspect
        "#<#{self.class} #{@agent}##{@action}>"
      end

      # Whether the client wants to hear what comes of it.
      def should_respond?
        return true unless @data.is_a?(Hash)

        [:process_results, 'process_results'].each { |key| return @data[key] if @data.include?(key) }
        true
      end

      def to_hash
        { agent: @agent, action: @action, data: @data }
      end

      def to_json(*args)
        to_hash.merge(sender: @sender, callerid: @caller, uniqid: @uniqid).to_json(*args)
      end

      # Holds the inputs against the description; what does not fit is a DDLValidationError.
      def validate!
        @ddl.validate_rpc_request(@action, @data)
      end

      # JSON has no symbols: one stands for the string, unless the description has an input whose
      # name is that string.
      def compatible_key(key)
        return key if @data.include?(key)

        inputs = @ddl ? @ddl.action_interface(@action)[:input] || {} : {}
        inputs.include?(key.to_s) ? key : key.to_s
      end
    end
  end
end
