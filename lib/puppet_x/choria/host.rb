# frozen_string_literal: true

require 'json'
require_relative 'branches'
require_relative 'error'
require_relative 'places'
require_relative 'shelter'
require_relative 'values'

module PuppetX
  module Choria
    # The process that runs the playbook. It is at the other end of a socket; every message is one
    # JSON object on a line of its own.
    #
    # Messages with an id that we send are calls and get an answer with the same id. Messages without
    # one are notices. The host interrupts the process to cancel what it does; the plan then unwinds,
    # and may make calls while it does.
    class Host
      # Both ends must speak the same.
      PROTOCOL = 1

      class << self
        # @return [Host, nil] the host of this process, nil outside of playbooks
        attr_accessor :current

        # Makes one call on behalf of a Puppet function.
        #
        # @param function [String] the function, for the error outside of playbooks
        # @param method [String] what to call
        # @param params [Hash] its parameters
        # @return [Object] the answer, plain JSON data
        def call(function, method, params)
          raise Error, "#{function} can only be used in playbooks" unless current && Puppet[:tasks]

          current.call(method, params)
        end
      end

      # @param socket [IO] the socket to the host
      def initialize(socket)
        @socket = socket
        @generator = JSON::State.new(max_nesting: 0) # made once: that takes as long as using it
        @last = 0
      end

      # @return [Branches] what runs blocks of the plan at the same time
      def branches
        @branches ||= Branches.new { receive }
      end

      # Waits for the next message.
      def receive
        line = @socket.gets
        raise Interrupt, 'the playbook host has ended' unless line

        parse(line)
      end

      # Calls the host and waits for its answer.
      def call(method, params)
        id = @last += 1
        file, line = Places.here
        message = { 'id' => id, 'method' => method, 'params' => Values.pack(params), 'file' => file, 'line' => line }
        message['ending'] = true if Shelter.current.inside?
        message['async'] = true if branches.inside?
        write(message)
        return unpack(branches.await(id)) if branches.inside?

        loop do
          answer = receive
          # Of a call that was interrupted the answer comes later.
          return unpack(answer) if answer['id'] == id
        end
      end

      # Sends a message that gets no answer.
      def notify(method, params)
        write('method' => method, 'params' => params)
      end

      private

      # Options take the parser as long as a short answer does; data is seldom so deep that it needs them.
      def parse(line)
        JSON.parse(line)
      rescue JSON::NestingError
        JSON.parse(line, max_nesting: false)
      end

      def write(message)
        @socket.write(@generator.generate(message) << "\n")
      end

      def unpack(answer)
        return answer['result'] unless answer.key?('error')

        error = answer['error']
        raise Error.new(error['msg'], error['kind'], error['details'] || {})
      end
    end
  end
end
