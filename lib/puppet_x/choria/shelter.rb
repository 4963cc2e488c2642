# frozen_string_literal: true

module PuppetX
  module Choria
    # Lets blocks run to their end in spite of an interrupt, which comes once they have ended.
    class Shelter
      KEY = :choria_shelter

      # @return [Shelter] that of what runs now, the plan or one of its branches
      def self.current
        Thread.current[KEY] ||= new # of the fiber, in spite of the name
      end

      # Makes interrupts of this process respect shelters.
      def self.install
        trap('INT') { current.interrupt }
      end

      def initialize
        @depth = 0
        @pending = nil
      end

      # Runs a block that has to run to its end.
      def run
        @depth += 1
        yield
      ensure
        @depth -= 1
        leave if @depth.zero?
      end

      # @return [Boolean] whether such a block runs
      def inside?
        @depth.positive?
      end

      # Interrupts what runs now, or later.
      def interrupt
        raise Interrupt unless postpone
      end

      # @return [Boolean] whether the interrupt has been postponed
      def postpone
        return false unless inside?

        @pending = true
      end

      private

      def leave
        pending = @pending
        @pending = nil
        raise Interrupt if pending
      end
    end
  end
end
