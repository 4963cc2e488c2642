# frozen_string_literal: true

module MCollective
  # What an action raises; the class decides the status of the reply.
  class RPCError < StandardError; end
  # Status 1: understood, and could not be completed.
  class RPCAborted < RPCError; end
  # Status 2: the agent has no such action.
  class UnknownRPCAction < RPCError; end
  # Status 3: an input is missing.
  class MissingRPCData < RPCError; end
  # Status 4: an input is not what the action takes.
  class InvalidRPCData < RPCError; end
  # Status 5: anything else.
  class UnknownRPCError < RPCError; end

  # A request does not fit the description of the agent, or there is no description.
  class DDLValidationError < RuntimeError; end
  # A value does not pass a validator.
  class ValidatorError < RuntimeError; end

  class ClientTimeoutError < RuntimeError; end
  class MsgDoesNotMatchRequestID < RuntimeError; end
  class MsgTTLExpired < RuntimeError; end
  class NotTargettedAtUs < RuntimeError; end
  class SecurityValidationFailed < RuntimeError; end

  # A connector asks to be called again later.
  class BackoffSuggestion < StandardError
    attr_reader :backoff

    def initialize(backoff = nil)
      super("backoff of #{backoff} seconds suggested")
      @backoff = backoff
    end
  end

  class MessageNotReceived < BackoffSuggestion; end
  class UnexpectedMessageType < BackoffSuggestion; end
end
