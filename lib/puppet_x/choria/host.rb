# frozen_string_literal: true

require 'json'
require_relative 'error'
require_relative 'values'

module PuppetX
  module Choria
    # The process that runs the playbook. It is at the other end of a socket; every message is one
    # JSON object on a line of its own.
    #
    # Messages with an id that we send are calls and get an answer with the same id. Messages
    # without id are notices in either direction. Answers are read by a thread of their own, so that
    # a cancellation arrives while a call is waiting.
    class Host
      # Both ends must speak the same.
      PROTOCOL = 1

      # How long a plan may take to unwind after the host has gone away, in seconds.
      UNWIND = 5

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
        @lock = Mutex.new
        @waiting = {}
        @control = Queue.new
        @last = 0
      end

      # Starts reading. The thread given is interrupted when the host cancels or goes away.
      def start(main)
        Thread.new { read(main) }.report_on_exception = true
        self
      end

      # Waits for a message that is no answer: hello or run.
      def receive
        @control.pop
      end

      # Calls the host and waits for its answer.
      def call(method, params)
        stack = Puppet::Pops::PuppetStack.stacktrace
        answers = Queue.new
        id = @lock.synchronize do
          @last += 1
          @waiting[@last] = answers
          @last
        end
        notify(method, Values.pack(params), 'id' => id, 'stack' => stack)
        unpack(answers.pop)
      ensure
        @lock.synchronize { @waiting.delete(id) } if id
      end

      # Sends a message that gets no answer.
      def notify(method, params, more = {})
        line = JSON.generate({ 'method' => method, 'params' => params }.merge(more), max_nesting: 0)
        @lock.synchronize { @socket.write(line, "\n") }
      end

      private

      def unpack(answer)
        return answer['result'] unless answer.key?('error')

        error = answer['error']
        raise Error.new(error['msg'], error['kind'], error['details'] || {})
      end

      def read(main)
        while (line = @socket.gets)
          message = JSON.parse(line, max_nesting: false)
          case message['method']
          when nil then answer(message)
          when 'cancel' then main.raise(Interrupt, 'interrupted')
          else @control << message
          end
        end
      rescue IOError, SystemCallError
        nil
      ensure
        # The host is gone: unwind the plan, but not for ever.
        main.raise(Interrupt, 'the playbook host has ended') if main.alive?
        sleep UNWIND
        exit!(1)
      end

      def answer(message)
        queue = @lock.synchronize { @waiting[message['id']] }
        queue&.push(message)
      end
    end
  end
end
