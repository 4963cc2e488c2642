# frozen_string_literal: true

require 'puppet_x/choria/places'

module PuppetX
  module Cspec
    # Where in the plans something stands.
    module Position
      module_function

      # @return [Hash] file and line of the innermost call
      def here
        file, line = Choria::Places.here
        { 'file' => file, 'line' => line }
      end

      # @return [String] a time as reports write it
      def time(time)
        time.utc.strftime('%Y-%m-%dT%H:%M:%SZ')
      end

      # @return [Float] seconds, for durations
      def clock
        Process.clock_gettime(Process::CLOCK_MONOTONIC)
      end
    end
  end
end
