# frozen_string_literal: true

# Runs one action of a Ruby agent: reads one request from standard input, as JSON, and writes one
# reply to standard output.
#
#   ruby choria_shim.rb --config /etc/choria/server.conf < request.json > reply.json
#
#   --config FILE     the configuration
#   --set KEY=VALUE   a setting that wins over the file
#   --warm NAME       load the agent NAME and run each request that comes in over descriptor 3 in a
#                     fork, see choria/shim/warm.rb
#   --convert         turn descriptions in Ruby into JSON, see choria/shim/converter.rb

if RUBY_VERSION.split('.').first(2).map(&:to_i).<=>([2, 5]).negative?
  abort("Ruby #{RUBY_VERSION} is too old to run agents, want 2.5 or later")
end

require_relative 'mcollective'
require_relative 'choria/shim/former'
require_relative 'choria/shim/plain'
require_relative 'choria/shim/runner'

# Errors go over the network: the lines of code that newer Ruby adds are for the author at a terminal.
if defined?(ErrorHighlight) && ErrorHighlight.respond_to?(:formatter=)
  ErrorHighlight.formatter = Class.new { define_singleton_method(:message_for) { |_spot| '' } }
end

options = { set: {} }
OptionParser.new do |opts|
  opts.on('--config FILE') { |file| options[:config] = file }
  opts.on('--set SETTING') { |text| options[:set].store(*text.split('=', 2)) }
  opts.on('--warm NAME') { |name| options[:warm] = name }
  opts.on('--convert') { options[:convert] = true }
end.parse!

runner = Choria::Shim::Runner.new(options[:config], options[:set])
if options[:convert]
  require_relative 'choria/shim/converter'
  runner.configure
  Choria::Shim::Converter.new($stdin, $stdout).run
elsif options[:warm]
  require_relative 'choria/shim/warm'
  Choria::Shim::Warm.new(options[:warm], UNIXSocket.for_fd(3), runner).run
else
  require_relative 'choria/shim/lifeline'
  Choria::Shim::Lifeline.watch
  $stdout.write("#{runner.answer($stdin.read)}\n")
end
