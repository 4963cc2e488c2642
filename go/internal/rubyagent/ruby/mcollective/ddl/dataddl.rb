# frozen_string_literal: true

module MCollective
  module DDL
    # The description of a data plugin.
    class DataDDL < Base
      # Describes the query and what comes of it.
      def dataquery(input, &block)
        raise(DDLValidationError, 'Data queries need a :description') unless input.include?(:description)
        raise(DDLValidationError, 'Data queries can only have one definition') if @entities[:data]

        @entities[:data] = { description: input[:description], input: {}, output: {} }
        @current_entity = :data
        instance_eval(&block) if block
      ensure
        @current_entity = nil
      end

      def input(argument, properties)
        raise(DDLValidationError, 'The only valid input name for a data query is :query') if argument.to_sym != :query

        super
      end

      def dataquery_interface
        @entities[:data] || {}
      end
    end
  end
end
