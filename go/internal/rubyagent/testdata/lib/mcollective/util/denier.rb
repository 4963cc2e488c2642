module MCollective
  module Util
    class Denier
      def self.authorize(request)
        raise(RPCAborted, "denied #{request.caller}") if request[:deny]
      end
    end
  end
end
