# frozen_string_literal: true

require 'ipaddr'

module MCollective
  # Holds values against rules. What does not pass is a ValidatorError.
  #
  # A validator NAME is a class MCollective::Validator::NameValidator with a method validate; those
  # below and those in the files of mcollective/validator of the library directories.
  module Validator
    TYPES = { 'integer' => [Integer], 'float' => [Float], 'number' => [Numeric], 'string' => [String], 'hash' => [Hash],
              'array' => [Array], 'boolean' => [TrueClass, FalseClass] }.freeze

    # A value is of a type, given by name or as a class.
    class TypecheckValidator
      def self.validate(validator, validation_type)
        classes = TYPES.fetch(validation_type.to_s) { [validation_type] }
        classes = classes.grep(Module)
        return if classes.any? { |klass| validator.is_a?(klass) }

        raise("value should be a #{validation_type}")
      end
    end

    # A string matches a pattern.
    class RegexValidator
      def self.validate(validator, regex)
        raise("value should match #{regex.is_a?(Regexp) ? regex.source : regex}") unless validator.to_s.match(regex)
      end
    end

    # A string is not too long; 0 is any length.
    class LengthValidator
      def self.validate(validator, length)
        return unless length.positive? && validator.size > length

        raise("Input string is longer than #{length} character(s)")
      end
    end

    # A value is one of a list.
    class ArrayValidator
      def self.validate(validator, array)
        raise("value should be one of #{array.join(', ')}") unless array.include?(validator)
      end
    end

    # A string does nothing to a shell that it is a word for.
    class ShellsafeValidator
      def self.validate(validator)
        raise('value should be a String') unless validator.is_a?(String)

        ['`', '$', ';', '|', '&&', '>', '<'].each do |chr|
          raise("value should not have #{chr} in it") if validator.include?(chr)
        end
      end
    end

    # A string is an IPv4 address.
    class Ipv4addressValidator
      def self.validate(validator)
        address = IPAddr.new(validator)
        raise('value should be an ipv4 address') unless address.ipv4? && !validator.include?('/')
      rescue IPAddr::Error
        raise('value should be an ipv4 address')
      end
    end

    # A string is an IPv6 address.
    class Ipv6addressValidator
      def self.validate(validator)
        address = IPAddr.new(validator)
        raise('value should be an ipv6 address') unless address.ipv6? && !validator.include?('/')
      rescue IPAddr::Error
        raise('value should be an ipv6 address')
      end
    end

    # A string is an address of either kind.
    class IpaddressValidator
      def self.validate(validator)
        IPAddr.new(validator)
        raise('value should be an ip address') if validator.include?('/')
      rescue IPAddr::Error
        raise('value should be an ip address')
      end
    end

    @loaded = false

    class << self
      # Loads the validators of the library directories, once.
      def load_validators
        return if @loaded

        PluginManager.find('validator').each { |name| load_file(name) }
        @loaded = true
      end

      # Returns the class of a validator.
      def [](klass)
        name = validator_class(klass)
        has_validator?(klass) ? const_get(name) : (raise ValidatorError, "No validator #{klass} is known")
      end

      def has_validator?(validator)
        name = validator_class(validator)
        return false unless name.match?(/\A[A-Z]\w*\z/)
        return true if const_defined?(name, false)

        load_file("#{validator}_validator")
        load_validators unless const_defined?(name, false)
        const_defined?(name, false)
      end

      # Holds a value against a rule: a type or the name of a validator as a symbol, a pattern, a
      # list of values, or a class.
      def validate(validator, validation)
        case validation
        when Regexp, String then self['regex'].validate(validator, validation)
        when Symbol then validate_symbol(validator, validation)
        when Array then self['array'].validate(validator, validation)
        when Module then self['typecheck'].validate(validator, validation)
        else raise("#{validation.inspect} is no rule to validate with")
        end
        true
      rescue StandardError => e
        raise(ValidatorError, e.to_s)
      end

      # Validator.NAME(value, argument…) runs the validator NAME.
      def method_missing(method, *args)
        return super unless has_validator?(method)

        begin
          self[method].validate(*args)
        rescue StandardError => e
          raise(ValidatorError, e.to_s)
        end
        true
      end

      def respond_to_missing?(method, include_private = false)
        (method.to_s.match?(/\A\w+\z/) && has_validator?(method)) || super
      end

      # The name of the class of a validator.
      def validator_class(validator)
        "#{validator.to_s.capitalize}Validator"
      end

      private

      def validate_symbol(validator, validation)
        return self['typecheck'].validate(validator, validation) if TYPES.key?(validation.to_s)

        self[validation].validate(validator)
      end

      # A validator that is broken must not take those with it that are not.
      def load_file(name)
        file = "mcollective/validator/#{name}.rb"
        path = Config.instance.libdir.map { |dir| File.join(dir, file) }.find { |f| File.file?(f) }
        load(path) if path
      rescue StandardError, ScriptError => e
        Log.error("Failed to load validator #{name}: #{e.class}: #{e}")
      end
    end
  end
end
