# frozen_string_literal: true

require 'logger'

module MCollective
  module Logger
    # Logs to the file of the setting logfile, keeping keeplogs files of max_log_size bytes.
    class File_logger < Base # rubocop:disable Naming/ClassAndModuleCamelCase
      def start
        config = Config.instance
        @logger = ::Logger.new(config.logfile, config.keeplogs, config.max_log_size)
        @logger.formatter = ::Logger::Formatter.new
        @logger.level = ::Logger::DEBUG # levels are the business of Log
      end

      def reopen
        @logger.close
        start
      end

      def log(level, from, msg)
        @logger.add(::Logger.const_get(level.to_s.upcase)) { "#{from} #{msg}" }
      end
    end
  end
end
