# frozen_string_literal: true

module MCollective
  module Logger
    # Logs to syslog, with the facility of the setting logfacility.
    class Syslog_logger < Base # rubocop:disable Naming/ClassAndModuleCamelCase
      PRIORITIES = { debug: :debug, info: :info, warn: :warning, error: :err, fatal: :crit }.freeze

      def start
        require 'syslog'

        facility = "LOG_#{Config.instance.logfacility.to_s.upcase}"
        facility = Syslog::Constants.const_defined?(facility) ? Syslog::Constants.const_get(facility) : Syslog::LOG_USER
        Syslog.close if Syslog.opened?
        Syslog.open(File.basename($PROGRAM_NAME), Syslog::LOG_PID, facility)
      end

      def log(level, from, msg)
        Syslog.public_send(PRIORITIES.fetch(level, :info), '%s', "#{from} #{msg}")
      end
    end
  end
end
