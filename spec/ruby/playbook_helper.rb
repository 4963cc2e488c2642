# frozen_string_literal: true

require 'minitest/autorun'
require 'json'
require 'socket'

# Puppet itself does not load without warnings.
verbose = $VERBOSE
$VERBOSE = nil
require 'puppet_pal'
$VERBOSE = verbose

require 'puppet_x/choria/host'
require 'puppet_x/choria/failure'
require 'puppet_x/choria/task_results'

# The other end of the socket of a Host: a thread that answers calls as the test says.
class FakeHost
  attr_reader :host, :messages

  # @yieldparam message [Hash] a call
  # @yieldreturn [Hash] what to answer: result or error
  def initialize(&answer)
    @messages = Queue.new
    ours, theirs = UNIXSocket.pair
    @host = PuppetX::Choria::Host.new(theirs)
    @sockets = [ours, theirs]
    @thread = Thread.new { serve(ours, answer) }
  end

  # Sends a line that is no answer to anything.
  def send(message)
    @sockets[0].puts(JSON.generate(message))
  end

  def close
    @sockets.each(&:close)
    @thread.join
  end

  private

  def serve(socket, answer)
    while (line = socket.gets)
      message = JSON.parse(line)
      @messages << message
      socket.puts(JSON.generate({ 'id' => message['id'] }.merge(answer.call(message)))) if message['id']
    end
  rescue IOError
    nil # closed at the end of the test
  end
end
