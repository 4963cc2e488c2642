# frozen_string_literal: true

module MCollective
  module Logger
    # Logs to the daemon that runs the agent. It reads standard error: a line that starts with the
    # record separator is a message with its level, all others are what the agent wrote itself.
    class Host_logger < Base # rubocop:disable Naming/ClassAndModuleCamelCase
      def initialize
        super
        # The agent may redirect standard error; the log goes where it went at the start.
        @io = $stderr.dup
        @io.sync = true
      end

      def log(level, from, msg)
        text = "#{from} #{msg}".encode('UTF-8', invalid: :replace, undef: :replace)
        @io.write("\x1e#{level} #{text.gsub(/\s*\n\s*/, ' | ')}\n")
      end
    end
  end
end
