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
      def limit(seconds, &block)
        @expired = false
        # Nowhere but in the block itself.
        result = Thread.handle_interrupt(Expired => :never) { guarded(seconds, &block) }
        raise(Expired) if @expired

        result
      rescue Expired
        raise(Timeout::Error, "took more than #{seconds} seconds")
      end

      private

      def guarded(seconds, &block)
        guard, disarm = arm(seconds, Thread.current)
        Thread.handle_interrupt(Expired => :immediate, &block)
      rescue Expired, StandardError
        # Some libraries do rescue everything, and raise errors of their own instead.
        raise unless @expired
      ensure
        disarm.call
        guard.kill
      end

      # Starts a thread that interrupts another one when the time is up, unless it is disarmed before.
      def arm(seconds, target)
        lock = Mutex.new
        armed = true
        guard = Thread.new do
          expire(seconds)
          lock.synchronize { target.raise(Expired) if (@expired = armed) }
        end
        [guard, -> { lock.synchronize { armed = false } }]
      end

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
