# frozen_string_literal: true

require 'puppet_x/choria/host'
require_relative 'case'
require_relative 'position'

module PuppetX
  module Cspec
    # One suite. Plans see it as Cspec::Suite.
    class Suite
      attr_reader :description, :fail_fast, :report

      def initialize(description, fail_fast, report)
        @description = description
        @fail_fast = fail_fast
        @report = report
        @position = Position.here
        @cases = []
        @started = Time.now
        @clock = Position.clock
      end

      # Runs one case. What goes wrong in it, other than a failing assertion, becomes a failed assertion
      # of kind exception.
      def it(description, &block)
        testcase = Case.new(self, description)
        Puppet.notice("==== #{description}")
        testcase.run(&block)
      rescue StandardError => e
        # Puppet wraps what assertions raise on its way through the plan.
        testcase.exception(e) unless Choria::Failure.own_error(e).is_a?(AssertionFailed)
        raise if fail_fast

        nil
      ensure
        @cases << testcase.outcome if testcase
      end

      def success
        @cases.all? { |testcase| testcase['success'] }
      end

      def outcome
        {
          'testsuite' => description,
          'success' => success,
          'started' => @started.utc.strftime('%Y-%m-%dT%H:%M:%SZ'),
          'duration' => (Position.clock - @clock).round(3),
          'puppet' => Puppet.version,
          'testcases' => @cases
        }.merge(@position)
      end

      # Adds the outcome to the report file, which the playbook host writes.
      def record
        Choria::Host.call('cspec::suite', 'cspec.record', 'report' => report, 'suite' => outcome)
      end
    end
  end
end
