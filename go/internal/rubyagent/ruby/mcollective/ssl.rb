# frozen_string_literal: true

require 'digest'
require 'securerandom'

module MCollective
  # What agents take from the class that signs messages, which is the business of the daemon here.
  class SSL
    # Names are hashed into this space of names. Source: RFC 4122, appendix C, the one for names of hosts.
    DNS = '6ba7b8109dad11d180b400c04fd430c8'

    class << self
      def base64_encode(string)
        [string].pack('m')
      end

      # Space may be anywhere in the text, and nothing else that is not of base64.
      def base64_decode(string)
        raise(ArgumentError, 'invalid base64') unless string.match?(%r{\A[A-Za-z0-9+/=\s]+\z})

        string.unpack1('m')
      end

      def md5(string)
        Digest::MD5.hexdigest(string)
      end

      # Returns a UUID: that of a text, always the same, or a random one.
      def uuid(string = nil)
        return SecureRandom.uuid if string.nil?

        sum = Digest::SHA1.digest([DNS].pack('H*') + string).bytes.first(16)
        sum[6] = (sum[6] & 0x0f) | 0x50
        sum[8] = (sum[8] & 0x3f) | 0x80
        sum.pack('C*').unpack('H8H4H4H4H12').join('-')
      end
    end
  end
end
