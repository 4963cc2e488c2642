# frozen_string_literal: true

require_relative 'error'
require_relative 'leave'
require_relative 'places'

module PuppetX
  module Choria
    # Describes what ended a playbook: one message without the prefixes and locations that Puppet adds
    # on the way up, and where it happened.
    module Failure
      # What ends a plan without being a StandardError: an interrupt, exit in the code of a module, recursion without
      # end, what Ordinary could not make an error of, and a block that was to be left and had ended before.
      FATAL = [Interrupt, SystemExit, SystemStackError, ScriptError, NoMemoryError, Leave].freeze

      # What Puppet puts in front of and behind a message, for each call it passes through.
      PREFIX = /\A(?:Evaluation Error: |Error while evaluating an? [\w ]+?, )+/.freeze
      SUFFIX = /(?: \((?:file|line): [^()]*\)| on node localhost)+\z/.freeze

      module_function

      # @param error [Exception] what was raised
      # @return [Hash] msg, kind, details, file, line, pos and stack, the callers, innermost first
      def describe(error)
        own = own_error(error)
        {
          'msg' => message(own || error),
          'kind' => own ? own.kind : kind(error),
          'details' => own ? own.details : {},
          'file' => Places.name(part(error, :file)),
          'line' => part(error, :line),
          'pos' => part(error, :pos),
          'stack' => (part(error, :puppetstack) || []).map { |file, line| [Places.name(file), line] },
          'trace' => Array(error.backtrace).first(20).map { |place| Places.text(place) }
        }
      end

      # The error as a plan sees it, with its position in the details.
      def to_puppet(error)
        found = describe(error)
        details = found['details'].merge('file' => found['file'], 'line' => found['line'],
                                         'playbook_stack' => found['stack'])
        Puppet::DataTypes::Error.from_asserted_hash('msg' => found['msg'], 'kind' => found['kind'],
                                                    'details' => details)
      end

      # The error of ours that Puppet has wrapped, if there is one.
      def own_error(error)
        while error
          return error if error.is_a?(Error)

          error = error.cause
        end
      end

      def message(error)
        text = error.respond_to?(:basic_message) ? error.basic_message : error.message
        Places.text(Values.utf8(text.to_s.sub(PREFIX, '').gsub(SUFFIX, '').strip))
      end

      def kind(error)
        case error
        when Interrupt then 'choria.playbook/interrupted'
        when SystemStackError then 'choria.playbook/recursion'
        when SystemExit then 'choria.playbook/exit'
        else 'choria.playbook/error'
        end
      end

      # Most errors lack these, and some that have them raise when asked too early.
      def part(error, name)
        error.respond_to?(name) ? error.public_send(name) : nil
      end
    end
  end
end
