# frozen_string_literal: true

module MCollective
  module RPC
    # What an action answers. It starts with every declared output at its default.
    class Reply
      attr_accessor :statuscode, :statusmsg, :data

      # What fail! raises by code.
      ERRORS = { 1 => RPCAborted, 2 => UnknownRPCAction, 3 => MissingRPCData, 4 => InvalidRPCData }.freeze

      def initialize(action, ddl)
        @data = {}
        @statuscode = 0
        @statusmsg = 'OK'
        @ddl = ddl
        @action = action
        initialize_data
      end

      def initialize_data
        (@ddl.action_interface(@action)[:output] || {}).each do |name, output|
          # A copy all the way down: agents append to what they find.
          @data[name] = output[:default].nil? ? nil : Marshal.load(Marshal.dump(output[:default]))
        end
      rescue StandardError => e
        Log.warn("Failed to pre-populate reply data of #{@action}: #{e.class}: #{e}")
      end

      # Says that the action has failed, and goes on.
      def fail(msg, code = 1)
        @statusmsg = msg
        @statuscode = code
      end

      # Says that the action has failed, and ends it.
      def fail!(msg, code = 1)
        self.fail(msg, code)
        raise(ERRORS.fetch(code, UnknownRPCError), msg)
      end

      def inspect
        "#<#{self.class} #{@action} #{@statuscode}>"
      end

      def [](key)
        @data[key]
      end

      def []=(key, value)
        @data[key] = value
      end

      def fetch(key, default)
        @data.fetch(key, default)
      end

      def to_hash
        { statuscode: @statuscode, statusmsg: @statusmsg, data: @data }
      end

      def to_json(*args)
        to_hash.to_json(*args)
      end
    end
  end
end
