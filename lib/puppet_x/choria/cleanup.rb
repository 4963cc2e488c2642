# frozen_string_literal: true

require_relative 'detached'
require_relative 'failure'
require_relative 'shelter'

module PuppetX
  module Choria
    # Runs what has to be done when a playbook ends.
    module Cleanup
      KEY = :choria_cleanup

      module_function

      # Runs a playbook, and then what it has registered.
      def around
        outer = Thread.current[KEY]
        blocks = Thread.current[KEY] = []
        ended = false
        value = yield
        ended = true
        value
      ensure
        Thread.current[KEY] = outer
        finish(blocks, ended) unless blocks.nil? || blocks.empty?
      end

      # @return [Boolean] whether there is a playbook to end
      def register(block)
        blocks = Thread.current[KEY]
        blocks&.push(Detached.new(block))
        !blocks.nil?
      end

      # Only the first error is told, and none where the playbook itself has one.
      def finish(blocks, ended)
        errors = Shelter.current.run { blocks.reverse.map { |block| attempt(block) }.compact }
        errors.each { |error| Puppet.warning("A block of choria::ensure failed: #{Failure.message(error)}") }
        raise errors.first if ended && !errors.empty?
      end

      # @return [Exception, nil] an interrupt is postponed, and all else must not keep other blocks from running
      def attempt(block)
        around { block.call }
        nil
      rescue StandardError, *Failure::FATAL => e
        e
      end
    end
  end
end
