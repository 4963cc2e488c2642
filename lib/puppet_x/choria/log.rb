# frozen_string_literal: true

require_relative 'failure'

module PuppetX
  module Choria
    # Hands what Puppet logs to the host.
    module Log
      class << self
        # Keeps errors that are logged while the block runs instead of handing them over, and the one
        # that ends it.
        #
        # @return [Array<Hash>] msg, file, line and pos of each
        def collect
          @kept = []
          yield
          @kept
        rescue Puppet::Error, Error, ArgumentError, NameError, SystemCallError => e
          @kept.empty? ? [Failure.describe(e)] : @kept
        ensure
          @kept = nil
        end

        def handle(message)
          return keep(message) if @kept && message.level == :err

          source = message.source.to_s
          text = Places.text(Values.utf8(message.message.to_s))
          Host.current.notify('log', 'level' => message.level.to_s, 'text' => text,
                                     'source' => source == 'Puppet' ? '' : source,
                                     'file' => Places.name(message.file), 'line' => message.line)
        end

        private

        def keep(message)
          @kept << { 'msg' => Failure.message(StandardError.new(message.message.to_s)),
                     'file' => Places.name(message.file), 'line' => message.line, 'pos' => message.pos }
        end
      end
    end
  end
end

Puppet::Util::Log.newdesttype(:choria) do
  match :choria

  def handle(message)
    PuppetX::Choria::Log.handle(message)
  end
end
