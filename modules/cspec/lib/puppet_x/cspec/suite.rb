# frozen_string_literal: true

require 'puppet_x/choria/host'
require_relative 'case'
require_relative 'position'

module PuppetX
  module Cspec
    # One suite. Plans see it as Cspec::Suite.
    class Suite
      class << self
        # @return [Array<String>, nil] the tags of the cases that are run; none or nil means all cases.
        #   It holds for all suites of the run, which are playbooks that know nothing of it.
        attr_accessor :only
      end

      attr_reader :description, :fail_fast, :report

      # @param options [Hash] tags, which all cases of the suite have, and version, that of choria
      def initialize(description, fail_fast, report, options = {})
        @description = description
        @fail_fast = fail_fast
        @report = report
        @tags = options.fetch(:tags, [])
        @version = options[:version]
        @position = Position.here
        @cases = []
        @started = Time.now
        @clock = Position.clock
      end

      # Runs one case. What goes wrong in it, other than a failing assertion, becomes a failed assertion
      # of kind exception.
      def it(description, tags = [], &block)
        tags = (@tags + Array(tags)).uniq
        return unless chosen?(tags)

        testcase = Case.new(self, description, tags)
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
          'started' => Position.time(@started),
          'duration' => (Position.clock - @clock).round(3),
          'puppet' => Puppet.version,
          'choria' => @version,
          'testcases' => @cases
        }.merge(@position)
      end

      # Adds the outcome to the report file, which the playbook host writes. A suite without a case that
      # was asked for has none.
      def record
        return if @cases.empty? && !all?

        Choria::Host.call('cspec::suite', 'cspec.record', 'report' => report, 'suite' => outcome)
      end

      private

      def all?
        Suite.only.nil? || Suite.only.empty?
      end

      def chosen?(tags)
        all? || !(tags & Suite.only).empty?
      end
    end
  end
end
