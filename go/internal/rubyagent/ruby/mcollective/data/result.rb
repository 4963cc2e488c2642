# frozen_string_literal: true

module MCollective
  module Data
    # What a data plugin answers: scalar values by name, which are methods too.
    class Result
      ALLOWED = [String, Integer, Float, TrueClass, FalseClass].freeze

      def initialize(outputs = nil)
        @data = {}
        (outputs || {}).each do |name, output|
          @data[name.to_sym] = output[:default].is_a?(String) ? output[:default].dup : output[:default]
        end
      end

      def include?(key)
        @data.include?(key.to_sym)
      end

      def [](key)
        @data[key.to_sym]
      end

      def []=(key, value)
        allowed = ALLOWED.any? { |klass| value.is_a?(klass) }
        raise("#{key}: a data plugin may only return #{ALLOWED.join(', ')}, not #{value.class}") unless allowed

        @data[key.to_sym] = value
      end

      def keys
        @data.keys
      end

      def to_hash
        @data.dup
      end

      def method_missing(method, *args)
        return super unless args.empty? && @data.key?(method)

        @data[method]
      end

      def respond_to_missing?(method, include_private = false)
        @data.key?(method) || super
      end
    end
  end
end
