# frozen_string_literal: true

module MCollective
  module Logger
    # Logs to standard error.
    class Console_logger < Base # rubocop:disable Naming/ClassAndModuleCamelCase
      def log(level, from, msg)
        $stderr.puts("#{level} #{Time.now.strftime('%Y/%m/%d %H:%M:%S')}: #{from} #{msg}") # rubocop:disable Style/StderrPuts
      end
    end
  end
end
