# frozen_string_literal: true

module Choria
  module Shim
    # Ends a block when its time is up. What loading libraries takes does not count: data plugins have a
    # second, and Puppet takes that long to load.
    class Stopwatch
      # Passes by what rescues all errors.
      class Expired < Exception; end # rubocop:disable Lint/InheritException

      def initialize(learner)
        @learner = learner
      end

      # Runs the block for at most so many seconds. What takes longer is a Timeout::Error.
      def limit(seconds)
        ended = false
        lock = Mutex.new
        caller = Thread.current
        guard = Thread.new do
          expire(seconds)
          lock.synchronize { caller.raise(Expired) unless ended }
        end
        yield
      rescue Expired
        raise(Timeout::Error, "took more than #{seconds} seconds")
      ensure
        lock.synchronize { ended = true }
        guard.kill
      end

      private

      # Returns when the time is up.
      def expire(seconds)
        start = now
        loaded = @learner.loading
        loop do
          left = seconds - (now - start) + (@learner.loading - loaded)
          return unless left.positive?

          sleep(left)
        end
      end

      def now
        Process.clock_gettime(Process::CLOCK_MONOTONIC)
      end
    end
  end
end
