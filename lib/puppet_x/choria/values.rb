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
      # @return [Object] numbers, booleans, strings, nil, arrays and hashes with string keys
      def pack(value)
        case value
        when nil, :undef, true, false, Integer, String then plain(value)
        when Float then value.finite? ? value : value.to_s
        when Array then value.map { |item| pack(item) }
        when Hash then value.to_h { |key, item| [key.is_a?(String) ? utf8(key) : pack(key).to_s, pack(item)] }
        else pack_rich(value)
        end
      end

      def plain(value)
        return nil if value == :undef

        value.is_a?(String) ? utf8(value) : value
      end

      def pack_rich(value)
        case value
        when Puppet::Pops::Types::PSensitiveType::Sensitive then { '__sensitive' => pack(value.unwrap) }
        when Puppet::DataTypes::Error then pack_error(value)
        when Regexp then literal(value)
        else value.respond_to?(:to_choria) ? pack(value.to_choria) : utf8(value.to_s)
        end
      end

      def pack_error(error)
        { 'msg' => error.msg, 'kind' => error.kind, 'details' => pack(error.details) }
      end

      # Writes a value as a literal of the Puppet language.
      def literal(value)
        Puppet::Pops::Types::StringConverter.convert(value, '%p')
      end

      def utf8(text)
        text = text.encode(Encoding::UTF_8, invalid: :replace, undef: :replace)
        text.valid_encoding? ? text : text.scrub
      end
    end
  end
end
