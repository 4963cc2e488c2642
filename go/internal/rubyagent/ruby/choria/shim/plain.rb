# frozen_string_literal: true

module Choria
  module Shim
    # Turns what an agent put into its reply into JSON, whatever that was.
    module Plain
      # Deeper data is cut: JSON of it could not be read.
      DEEPEST = 90

      class << self
        def json(value)
          JSON.generate(plain(value, 0))
        end

        private

        def plain(value, depth)
          return '…' if depth > DEEPEST

          case value
          when Hash then hash(value, depth)
          when Array then value.map { |item| plain(item, depth + 1) }
          when String then text(value)
          when Float then value.finite? ? value : value.to_s
          when Integer, true, false, nil then value
          else other(value, depth)
          end
        end

        # Of a string and a symbol of the same name the later one counts.
        def hash(value, depth)
          value.each_with_object({}) { |(key, item), all| all[text(key.to_s)] = plain(item, depth + 1) }
        end

        def text(value)
          return value.encode('UTF-8', invalid: :replace, undef: :replace) unless binary?(value)

          value.dup.force_encoding('UTF-8').scrub
        end

        # Bytes without an encoding are UTF-8 more often than anything else.
        def binary?(value)
          [Encoding::BINARY, Encoding::UTF_8, Encoding::US_ASCII].include?(value.encoding)
        end

        def other(value, depth)
          return plain(value.to_h, depth + 1) if value.is_a?(Struct)

          text(value.to_s)
        end
      end
    end
  end
end
