# frozen_string_literal: true

require 'puppet_x/choria/error'
require 'puppet_x/choria/failure'
require_relative 'assertions'
require_relative 'position'

module PuppetX
  module Cspec
    # Raised by a failing assertion when the suite is to fail fast.
    class AssertionFailed < Choria::Error
      def initialize(message)
        super(message, 'cspec/assertion')
      end
    end

    # One case of a suite. Plans see it as Cspec::Case.
    class Case
      include Assertions

      attr_reader :description, :suite

      def initialize(suite, description)
        @suite = suite
        @description = description
        @position = Position.here
        @assertions = []
        @clock = Position.clock
      end

      # Runs the block of the case.
      def run
        @skipped = catch(self) do
          yield(self)
          nil
        end
        return Puppet.notice("skipped: #{@skipped}") if @skipped

        add(true, 'testcase', description, {}, @position)
        Puppet.notice("✔︎ testcase: #{description}") if success
      end

      # Leaves the case.
      def skip(reason)
        throw(self, reason)
      end

      # Records an error, other than a failing assertion, that ended the case.
      def exception(error)
        found = Choria::Failure.describe(error)
        position = found['file'] ? { 'file' => found['file'], 'line' => found['line'] } : @position
        fail_with('exception', found['msg'], {}, position)
      end

      def success
        @assertions.all? { |assertion| assertion['success'] }
      end

      def outcome
        found = {
          'testcase' => description,
          'success' => success,
          'duration' => (Position.clock - @clock).round(3),
          'assertions' => @assertions
        }.merge(@position)
        @skipped ? found.merge('skipped' => @skipped) : found
      end

      private

      def pass(kind, message, more = {})
        add(true, kind, message, more, Position.here)
        Puppet.notice("✔︎ #{kind}: #{message}")
        true
      end

      def refuse(kind, message, more = {})
        fail_with(kind, message, more, Position.here)
        raise AssertionFailed, "#{kind}: #{description}: #{message}" if suite.fail_fast

        false
      end

      def fail_with(kind, message, more, position)
        add(false, kind, message, more, position)
        Puppet.err("✘ #{kind}: #{description} (#{position['file']}:#{position['line']})")
        Puppet.err(message)
      end

      def add(success, kind, message, more, position)
        @assertions << { 'success' => success, 'kind' => kind, 'message' => message }.merge(position, more)
      end
    end
  end
end
