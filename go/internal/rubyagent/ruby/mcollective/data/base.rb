# frozen_string_literal: true

module MCollective
  module Data
    # A data plugin:
    #
    #   class Fstat_data < Base
    #     activate_when { true }
    #
    #     query do |path|
    #       result[:size] = File.size(path)
    #     end
    #   end
    class Base
      attr_reader :name, :result, :ddl, :timeout

      class << self
        def inherited(klass)
          super
          type = klass.to_s.split('::').last.downcase
          PluginManager.delete(type)
          PluginManager << { type: type, class: klass.to_s, single_instance: false }
        end

        # What answers a query.
        def query(&block)
          raise('query: want a block that takes the query') unless block

          define_method(:query_data, &block)
        end

        # Whether the plugin can be used on this node.
        def activate_when(&block)
          define_singleton_method(:activate?, &block)
        end

        def activate?
          true
        end
      end

      def initialize
        @name = self.class.to_s.split('::').last.downcase
        @ddl = DDL.new(@name, :data)
        @timeout = @ddl.meta[:timeout] || 1
        @result = Result.new(@ddl.dataquery_interface[:output])
        startup_hook
      end

      def startup_hook; end

      # Asks the plugin and returns its Result.
      def lookup(what)
        validate(what)
        begin
          Timeout.timeout(@timeout) { query_data(what) }
        rescue Timeout::Error
          Log.error("Data plugin #{@name} took more than its #{@timeout} seconds for #{what.inspect}")
          raise("data plugin #{@name} took more than #{@timeout} seconds")
        end
        @result
      end

      def ddl_validate(what)
        query = @ddl.dataquery_interface[:input] && @ddl.dataquery_interface[:input][:query]
        return if query.nil?
        raise(DDLValidationError, "data plugin #{@name}: a query is required") if what.nil? && !query[:optional]

        @ddl.validate_input_argument({ query: query }, :query, what) unless what.nil?
      end
      alias validate ddl_validate
    end
  end
end
