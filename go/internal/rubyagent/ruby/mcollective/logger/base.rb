# frozen_string_literal: true

module MCollective
  module Logger
    # What loggers have in common. A logger is started once and then told level, place and message.
    class Base
      def start; end

      def reopen; end

      def log(level, from, msg)
        raise(NotImplementedError, "#{self.class} does not log #{level} #{from} #{msg}")
      end
    end
  end
end
