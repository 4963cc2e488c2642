# frozen_string_literal: true

module MCollective
  module DDL
    # The description of an agent.
    class AgentDDL < Base
      DISPLAY = %i[ok failed flatten always].freeze

      def initialize(plugin, plugintype = :agent, loadddl = true)
        @process_aggregate_functions = nil
        super
      end

      # Describes an action, with a block for inputs, outputs and display.
      def action(name, input, &block)
        raise(DDLValidationError, "Action #{name} needs a block") unless block
        raise(DDLValidationError, "Action #{name} needs a :description property") unless input.include?(:description)

        name = name.to_s
        @entities[name] ||= { action: name, input: {}, output: {}, display: :failed,
                              description: input[:description] }
        @entities[name][:display] = :failed
        within(name) { instance_eval(&block) }
      end

      # Which replies are shown to people.
      def display(pref)
        unless DISPLAY.include?(pref)
          raise(DDLValidationError,
                "Display preference #{pref} is not valid, should be one of #{DISPLAY.join(', ')}")
        end

        @entities[@current_entity][:display] = pref
      end

      # Says which outputs are summarised, and how.
      def summarize(&block)
        @process_aggregate_functions = true
        instance_eval(&block)
      ensure
        @process_aggregate_functions = nil
      end

      # Adds a summary: aggregate summary(:output, :format => '…').
      def aggregate(function, format = {})
        unless format.is_a?(Hash)
          raise(DDLValidationError,
                'Formats supplied to aggregation functions should be a hash')
        end
        raise(DDLValidationError, 'Formats supplied to aggregation functions must have a :format key') unless
          format.empty? || format.key?(:format)
        raise(DDLValidationError, 'Functions supplied to aggregate should be a hash') unless function.is_a?(Hash)

        function = function.merge(args: function[:args] + [format]) unless format.empty?
        (@entities[@current_entity][:aggregate] ||= []) << function
      end

      # Within summarize any name is that of a function: whether there is one is for clients to know.
      def method_missing(name, *args)
        return super unless @process_aggregate_functions

        { function: name, args: args }
      end

      def respond_to_missing?(name, include_private = false)
        !@process_aggregate_functions.nil? || super
      end

      def actions
        @entities.keys
      end

      def action_interface(name)
        @entities[name.to_s] || {}
      end

      # Adds to arguments the defaults of inputs that are required and missing.
      def set_default_input_arguments(action, arguments)
        (action_interface(action)[:input] || {}).each do |name, input|
          next if input[:optional] || input[:default].nil? || given?(arguments, name)

          Log.debug("Setting default value for input '#{name}' to '#{input[:default]}'")
          arguments[name] = input[:default]
        end
      end

      # Holds the arguments of a request against the description.
      def validate_rpc_request(action, arguments)
        unless actions.include?(action.to_s)
          raise(DDLValidationError,
                "Attempted to call action #{action} for #{@pluginname} but it's not declared in the DDL")
        end

        inputs = action_interface(action)[:input] || {}
        inputs.each do |name, input|
          if given?(arguments, name)
            validate_input_argument(inputs, name, value(arguments, name))
          elsif !input[:optional]
            raise(DDLValidationError, "Action #{action} needs a #{name} argument")
          end
        end
        true
      end

      # Turns text that stands for a boolean or a number into one, where the description says so.
      def symbolize_basic_input_arguments(inputs, arguments)
        arguments.transform_keys { |name| inputs.include?(name.to_s) ? name.to_s : name.to_sym }
      end

      private

      def within(name)
        @current_entity = name
        yield
      ensure
        @current_entity = nil
      end

      def given?(arguments, name)
        [name, name.to_s, name.to_sym].any? { |key| arguments.include?(key) }
      end

      def value(arguments, name)
        key = [name, name.to_s, name.to_sym].find { |k| arguments.include?(k) }
        arguments[key]
      end
    end
  end
end
