# frozen_string_literal: true

module MCollective
  # Agents whose actions take requests and fill replies.
  module RPC
  end
end

require_relative 'rpc/actionrunner'
require_relative 'rpc/agent'
require_relative 'rpc/audit'
require_relative 'rpc/reply'
require_relative 'rpc/request'
