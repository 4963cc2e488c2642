# frozen_string_literal: true

require 'puppet_x/choria/host'
require_relative 'position'

module PuppetX
  module Cspec
    # Assertions that may take a while to hold.
    module Eventually
      # Seconds between two tries.
      INTERVAL = 2

      # What one try of the block came to.
      Attempt = Struct.new(:findings, :error) do
        def holds?
          error.nil? && !findings.empty? && findings.all?(&:success)
        end

        # Trying again helps as little as waiting.
        def pointless?
          error.nil? && findings.empty?
        end
      end

      # Repeats the block until all that it asserts holds, or the time is over. The last try counts.
      #
      # @param within [Numeric] seconds; the block is tried once more when they are over
      # @param interval [Numeric] seconds between two tries
      def eventually(within, interval = INTERVAL, &block)
        clock = Position.clock
        last = attempt(&block)
        tries = 1
        until last.holds? || last.pointless? || (left = within - (Position.clock - clock)) <= 0
          Choria::Host.call('eventually', 'sleep', 'seconds' => [interval, left].min.round(3))
          last = attempt(&block)
          tries += 1
        end
        conclude(last, 'tries' => tries, 'seconds' => (Position.clock - clock).round(3))
      end

      private

      # Runs the block once, keeping back what it asserts.
      def attempt
        outer = @findings
        @findings = []
        yield
        Attempt.new(@findings, nil)
      rescue StopIteration
        raise # that is how Puppet leaves a block
      rescue StandardError => e
        Attempt.new(@findings, e)
      ensure
        @findings = outer
      end

      # Records the last try. The first assertion of it that failed is the one to fail fast for.
      def conclude(last, more)
        last.findings.each { |finding| settle(finding) }
        raise last.error if last.error

        kind = 'eventually'
        return refuse(kind, 'the block asserts nothing', more) if last.pointless?

        text = "#{more['tries']} tries in #{more['seconds']} seconds"
        last.holds? ? pass(kind, text, more) : refuse(kind, "not in #{text}", more)
      end
    end
  end
end
