# frozen_string_literal: true

module Choria
  module Shim
    # Ends this process and its children when the daemon is gone: descriptor 3 is a pipe that nobody
    # writes to, and whose end comes when the daemon has ended, however it did.
    module Lifeline
      def self.watch
        return unless ENV.delete('CHORIA_LIFELINE') == '3'

        pipe = IO.for_fd(3)
        Thread.new do
          pipe.read
          Process.kill('KILL', -Process.getpgrp)
        end
      end
    end
  end
end
