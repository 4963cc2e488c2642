# frozen_string_literal: true

module PuppetX
  module Choria
    # The parameters of a Puppet Task.
    module TaskInput
      # What every task may be given.
      OURS = /\A_/.freeze

      module_function

      # @param input [Hash] the parameters
      # @param parameters [Hash] what the task says of them: type, default and description of each
      # @return [Array<String>] what does not fit
      def problems(input, parameters)
        unknown = input.keys.reject { |name| parameters.key?(name) || name.match?(OURS) }
        found = unknown.map { |name| "there is no parameter '#{name}'" }
        parameters.each { |name, parameter| found << problem(input, name, parameter || {}) }
        found.compact
      end

      def problem(input, name, parameter)
        type = Puppet::Pops::Types::TypeParser.singleton.parse(parameter['type'] || 'Any')
        return mismatch(name, type, input[name]) if input.key?(name)
        return if parameter.key?('default') || type.instance?(nil)

        "'#{name}' is missing, #{type} is wanted"
      rescue Puppet::Error => e
        "'#{name}' has a type that cannot be read: #{e.message}"
      end

      # Values that are hidden are looked at, and not shown.
      def mismatch(name, type, value)
        hidden = value.is_a?(Puppet::Pops::Types::PSensitiveType::Sensitive)
        value = value.unwrap if hidden
        return if type.instance?(value)

        given = Puppet::Pops::Types::TypeCalculator.singleton.infer(value).generalize
        "'#{name}' wants #{type}, got #{hidden ? 'something else' : given}"
      end

      # @return [Boolean] whether something in value is Sensitive
      def sensitive?(value)
        case value
        when Puppet::Pops::Types::PSensitiveType::Sensitive then true
        when Hash then value.any? { |_, item| sensitive?(item) }
        when Array then value.any? { |item| sensitive?(item) }
        else false
        end
      end
    end
  end
end
