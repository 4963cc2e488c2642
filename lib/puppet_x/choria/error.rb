# frozen_string_literal: true

module PuppetX
  module Choria
    # What the playbook host refused or what went wrong there, in the words of the host. The kind and
    # the details survive in the cause of whatever Puppet makes of the error on its way.
    class Error < StandardError
      # @return [String] what sort of error it is, as in choria.playbook/task
      attr_reader :kind

      # @return [Hash] plain data about the error
      attr_reader :details

      def initialize(message, kind = 'choria.playbook/error', details = {})
        super(message)
        @kind = kind
        @details = details
      end
    end
  end
end
