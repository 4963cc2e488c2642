# frozen_string_literal: true

require_relative 'error'

module PuppetX
  module Choria
    # Makes ordinary errors, with the position of the call, of what Puppet does not take for errors when a function
    # raises it: a library that is not installed, a method that a subclass has to define, no memory.
    #
    # Like Positions this reaches into the evaluator, and a Puppet without the method goes without.
    module Ordinary
      EXTRAORDINARY = [ScriptError, NoMemoryError].freeze

      # Calls functions.
      module Evaluator
        private

        def call_function_with_block(name, arguments, expression, scope)
          super
        rescue *EXTRAORDINARY => e
          raise Error.new(e.message, 'choria.playbook/error', 'class' => e.class.name)
        end
      end

      def self.install
        evaluator = Puppet::Pops::Evaluator::EvaluatorImpl
        evaluator.prepend(Evaluator) if evaluator.private_method_defined?(:call_function_with_block)
      end
    end
  end
end
