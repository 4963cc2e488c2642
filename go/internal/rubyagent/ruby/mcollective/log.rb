# frozen_string_literal: true

require_relative 'logger/base'
require_relative 'logger/console_logger'
require_relative 'logger/file_logger'
require_relative 'logger/host_logger'
require_relative 'logger/syslog_logger'

module MCollective
  # Where agents log. Nothing of it ever goes to standard output, which belongs to the reply.
  class Log
    LEVELS = %i[debug info warn error fatal].freeze

    @logger = nil
    @level = :info

    class << self
      attr_reader :logger

      LEVELS.each do |level|
        define_method(level) { |msg, *| log(level, msg, caller(1..1).first) }
      end

      # Logs at a level. from is where it happened, as in an element of caller.
      def log(level, msg, from = nil)
        level = level.to_sym
        level = :info unless LEVELS.include?(level)
        configure if @logger.nil?
        return if LEVELS.index(level) < LEVELS.index(@level)

        @logger.log(level, from_where(from || caller(1..1).first), msg.to_s)
      rescue SystemCallError, IOError => e
        # An agent must not fail because its log does.
        warn_of(e)
      end

      def instance
        self
      end

      # Takes the logger and the level from the configuration, or the logger that is given.
      def configure(logger = nil)
        config = Config.instance
        @level = LEVELS.find { |l| l.to_s == config.loglevel.to_s } || :info
        @logger = logger || create(config)
        @logger.start
        true
      rescue StandardError, LoadError => e # Ruby 3.4 has no syslog of its own
        @logger = Logger::Console_logger.new
        warn_of(e)
      end

      def set_logger(logger) # rubocop:disable Naming/AccessorMethodName
        @logger = logger
      end

      def unconfigure
        @logger = nil
      end

      def reopen
        @logger.reopen if @logger.respond_to?(:reopen)
      end

      # Goes to the next level, from the most quiet to the most talkative.
      def cycle_level
        @level = LEVELS[(LEVELS.index(@level) + 1) % LEVELS.size]
        log(:error, "Logging level is now #{@level}")
      end

      def config_and_check_level(level)
        configure if @logger.nil?
        check_level(level)
      end

      def check_level(level)
        LEVELS.index(level.to_sym) >= LEVELS.index(@level)
      end

      private

      def create(config)
        case config.logger_type
        when 'host' then Logger::Host_logger.new
        when 'syslog' then Logger::Syslog_logger.new
        when 'file' then config.logfile ? Logger::File_logger.new : Logger::Console_logger.new
        else Logger::Console_logger.new
        end
      end

      # Returns the file and line of an element of caller, and the method without its class.
      def from_where(element)
        place, method = element.to_s.split(':in ', 2)
        method ? "#{File.basename(place)}:in #{method.tr('`', "'")}" : File.basename(place)
      end

      def warn_of(error)
        $stderr.puts("log: #{error}") # rubocop:disable Style/StderrPuts
      end
    end
  end
end
