# frozen_string_literal: true

require 'json'
require_relative 'error'
require_relative 'values'

module PuppetX
  module Choria
    # What a task did on one node or endpoint. Plans see it as Choria::TaskResult.
    class TaskResult
      # Otherwise Puppet parses the name of the type at every call.
      include Puppet::Pops::Types::PuppetObject

      def self.type
        @type ||= Puppet::Pops::Types::TypeParser.singleton.parse('Choria::TaskResult')
      end

      # @return [String] the node
      attr_reader :host

      # @return [Hash] value, type, fail_ok and, when failed, error
      attr_reader :result

      def initialize(host, result)
        @host = host
        @result = result
      end

      # @return [Puppet::DataTypes::Error, nil] what went wrong
      def error
        return unless failed?

        @error ||= Puppet::DataTypes::Error.from_asserted_hash(@result['error'])
      end

      # @return [Boolean] whether there is an error, whatever fail_ok says
      def failed?
        !@result['error'].nil?
      end

      def ok
        fail_ok || !failed?
      end

      def fail_ok
        @result['fail_ok'] ? true : false
      end

      def type
        @result['type']
      end

      def value
        @result['value']
      end

      def [](key)
        value.is_a?(Hash) ? value[key] : value
      end

      # @return [Object] the standard output of a Puppet Task, read as JSON
      def bolt_task_result
        output = value.is_a?(Hash) ? value.dig('data', 'stdout') : nil
        raise Error, "the result of #{host} holds no output of a Puppet Task" unless output.is_a?(String)

        JSON.parse(output)
      rescue JSON::ParserError => e
        raise Error, "the output of the Puppet Task on #{host} is not JSON: #{e.message}"
      end

      # The type of the object, and its attributes, as Puppet wants them. A type that is only loaded, which
      # Puppet would give otherwise, may have no members yet.
      def _pcore_type
        self.class.type
      end

      def _pcore_init_hash
        { 'host' => host, 'result' => result }
      end

      # What leaves the plan as data.
      def to_choria
        { host => result }
      end

      # A Puppet literal, for interpolation.
      def to_s
        "Choria::TaskResult({'host' => #{Values.literal(host)}, 'result' => #{Values.literal(result)}})"
      end

      def ==(other)
        other.is_a?(TaskResult) && host == other.host && result == other.result
      end
      alias eql? ==

      def hash
        [host, result].hash
      end
    end
  end
end
