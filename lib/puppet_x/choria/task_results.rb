# frozen_string_literal: true

require_relative 'error'
require_relative 'task_result'

module PuppetX
  module Choria
    # What a task did everywhere, or the failure of a playbook that was caught. Plans see it as
    # Choria::TaskResults and can iterate it.
    class TaskResults
      include Puppet::Pops::Types::PuppetObject
      include Puppet::Pops::Types::Iterable
      include Puppet::Pops::Types::IteratorProducer

      def self.type
        @type ||= Puppet::Pops::Types::TypeParser.singleton.parse('Choria::TaskResults')
      end

      # @return [Array<TaskResult>]
      attr_reader :results

      # @return [Puppet::DataTypes::Error, nil] set when a playbook failed or a request could not be made
      attr_reader :exception

      # @param answer [Hash] what the host answered to a task
      def self.from_host(answer)
        results = answer['results'].map { |item| TaskResult.new(item['host'], item['result']) }
        exception = answer['exception'] && Puppet::DataTypes::Error.from_asserted_hash(answer['exception'])
        new(results, exception, answer['message'], failed: answer['failed'])
      end

      # @param failed [Boolean] whether the task as a whole failed and may not
      def initialize(results, exception = nil, message = '', failed: false)
        @results = results
        @exception = exception
        @message = message
        @failed = failed
      end

      def count
        @results.length
      end

      def empty
        @results.empty?
      end

      def error_set
        TaskResults.new(@results.select(&:failed?), @exception, @message, failed: @failed)
      end

      def ok_set
        TaskResults.new(@results.reject(&:failed?), nil, @message)
      end

      def ok
        @exception.nil? && !@failed && @results.all?(&:ok)
      end

      def fail_ok
        @results.all?(&:fail_ok)
      end

      # @return [Boolean] what on_error and on_success go by; fail_ok makes no difference
      def failed?
        !@exception.nil? || @failed || @results.any?(&:failed?)
      end

      def hosts
        @results.map(&:host)
      end

      def find(host)
        @results.find { |result| result.host == host }
      end

      def first
        @results.first
      end

      def message
        @exception ? @exception.message : @message
      end

      def on_error
        yield(self) if failed?
        self
      end

      def on_success
        yield(self) unless failed?
        self
      end

      # What Puppet's each, map, filter and reduce use.
      def iterator
        Puppet::Pops::Types::Iterable.on(@results, TaskResult)
      end

      # The type of the object, and its attributes, as Puppet wants them: see TaskResult.
      def _pcore_type
        self.class.type
      end

      def _pcore_init_hash
        { 'results' => results, 'exception' => exception }
      end

      # What leaves the plan as data.
      def to_choria
        @results.map(&:to_choria)
      end

      def to_s
        "Choria::TaskResults({'results' => [#{@results.join(', ')}], 'exception' => #{Values.literal(@exception)}})"
      end

      def ==(other)
        other.is_a?(TaskResults) && results == other.results && exception == other.exception
      end
      alias eql? ==

      def hash
        [results, exception].hash
      end
    end
  end
end
