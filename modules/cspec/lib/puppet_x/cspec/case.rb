# frozen_string_literal: true

require 'puppet_x/choria/error'
require 'puppet_x/choria/failure'
require 'puppet_x/choria/leave'
require_relative 'assertions'
require_relative 'eventually'
require_relative 'node_assertions'
require_relative 'position'

module PuppetX
  module Cspec
    # Raised by a failing assertion when the suite is to fail fast.
    class AssertionFailed < Choria::Error
      def initialize(message)
        super(message, 'cspec/assertion')
      end
    end

    # Raised to leave a case that is skipped.
    class Skipped < Choria::Leave
      # @return [Case]
      attr_reader :testcase

      def initialize(testcase, reason)
        super(reason)
        @testcase = testcase
      end
    end

    # One case of a suite. Plans see it as Cspec::Case.
    class Case
      include Assertions
      include NodeAssertions
      include Eventually

      # What an assertion found, and where it stands.
      Finding = Struct.new(:success, :kind, :message, :more, :position)

      attr_reader :description, :suite

      # @param tags [Array<String>] the tags of the case, with those of the suite
      def initialize(suite, description, tags = [])
        @suite = suite
        @description = description
        @tags = tags
        @position = Position.here
        @assertions = []
        @started = Time.now
        @clock = Position.clock
      end

      # Runs the block of the case.
      def run
        yield(self)
        add(Finding.new(true, 'testcase', description, {}, @position))
        Puppet.notice("✔︎ testcase: #{description}") if success
      rescue Skipped => e
        raise unless e.testcase.equal?(self)

        @skipped = e.message
        Puppet.notice("skipped: #{@skipped}")
      end

      # Leaves the case.
      def skip(reason)
        raise Skipped.new(self, reason)
      end

      # Records an error, other than a failing assertion, that ended the case.
      def exception(error)
        found = Choria::Failure.describe(error)
        position = found['file'] ? { 'file' => found['file'], 'line' => found['line'] } : @position
        add(Finding.new(false, 'exception', found['msg'], {}, position))
      end

      def success
        @assertions.all? { |assertion| assertion['success'] }
      end

      def outcome
        found = {
          'testcase' => description,
          'success' => success,
          'started' => Position.time(@started),
          'duration' => (Position.clock - @clock).round(3),
          'assertions' => @assertions
        }.merge(@position)
        found['tags'] = @tags unless @tags.empty?
        found['skipped'] = @skipped if @skipped
        found
      end

      private

      def pass(kind, message, more = {})
        settle(Finding.new(true, kind, message, more, Position.here))
      end

      def refuse(kind, message, more = {})
        settle(Finding.new(false, kind, message, more, Position.here))
      end

      # Records what an assertion found, unless a block that may be tried again keeps it back.
      def settle(finding)
        if @findings
          @findings << finding
        else
          add(finding)
          Puppet.notice("✔︎ #{finding.kind}: #{finding.message}") if finding.success
          fail_fast(finding) if suite.fail_fast && !finding.success
        end
        finding.success
      end

      def fail_fast(finding)
        raise AssertionFailed, "#{finding.kind}: #{description}: #{finding.message}"
      end

      def add(finding)
        @assertions << { 'success' => finding.success, 'kind' => finding.kind, 'message' => finding.message }
                       .merge(finding.position, finding.more)
        return if finding.success

        at = "#{finding.position['file']}:#{finding.position['line']}"
        Puppet.err("✘ #{finding.kind}: #{description} (#{at})")
        Puppet.err(finding.message)
      end
    end
  end
end
