# frozen_string_literal: true

require 'puppet/datatypes/impl/error'

module PuppetX
  module Choria
    # Turns Puppet values into data that JSON can hold.
    #
    # Puppet's own converter is of no use here: in strict mode it raises on rich values, and it writes
    # what a Sensitive hides.
    module Values
      module_function

      # @param value [Object] any Puppet value
      # @return [Object] numbers, booleans, strings, nil, arrays and hashes with string keys; the value
      #   itself when it is nothing else
      def pack(value)
        plain?(value) ? value : convert(value)
      end

      # Most of what plans pass is plain: looking is a tenth of the cost of copying.
      def plain?(value)
        case value
        when String then value.encoding == Encoding::UTF_8 && value.valid_encoding?
        when Hash then value.all? { |key, item| key.is_a?(String) && plain?(key) && plain?(item) }
        when Array then value.all? { |item| plain?(item) }
        else atom?(value)
        end
      end

      def atom?(value)
        case value
        when nil, true, false, Integer then true
        when Float then value.finite?
        else false
        end
      end

      def convert(value)
        return value if atom?(value)

        case value
        when :undef then nil
        when String then utf8(value)
        when Float then value.to_s # that of no number
        when Array then value.map { |item| convert(item) }
        when Hash then value.to_h { |key, item| [convert(key).to_s, convert(item)] }
        else convert_rich(value)
        end
      end

      def convert_rich(value)
        case value
        when Puppet::Pops::Types::PSensitiveType::Sensitive then { '__sensitive' => convert(value.unwrap) }
        when Puppet::DataTypes::Error then convert_error(value)
        when Regexp then literal(value)
        else value.respond_to?(:to_choria) ? convert(value.to_choria) : utf8(value.to_s)
        end
      end

      def convert_error(error)
        { 'msg' => error.msg, 'kind' => error.kind, 'details' => convert(error.details) }
      end

      # Writes a value as a literal of the Puppet language.
      def literal(value)
        Puppet::Pops::Types::StringConverter.convert(value, '%p')
      end

      def utf8(text)
        return text if text.encoding == Encoding::UTF_8 && text.valid_encoding?

        text = text.encode(Encoding::UTF_8, invalid: :replace, undef: :replace)
        text.valid_encoding? ? text : text.scrub
      end
    end
  end
end
