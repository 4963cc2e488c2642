# frozen_string_literal: true

module PuppetX
  module Choria
    # Makes Puppet keep track of the file and line of method calls on typed objects, as in
    # $case.assert_equal(1, 2). Function calls it tracks itself.
    #
    # This reaches into the evaluator, in the process that runs a playbook alone. A Puppet without
    # these methods goes without: positions are then those of the nearest function call.
    module Positions
      # Remembers the call that is being evaluated.
      module Evaluator
        def eval_CallMethodExpression(expression, scope) # rubocop:disable Naming/MethodName
          calls = Positions.calls
          calls.push(expression)
          super
        ensure
          calls.pop
        end
      end

      # Puts a frame on Puppet's stack while a method runs.
      module Method
        def invoke(receiver, scope, args, &block)
          call = Positions.take(name)
          return super unless call

          body = -> { super(receiver, scope, args, &block) }
          Puppet::Pops::PuppetStack.stack(call.file, call.line, body, :call, [])
        end
      end

      def self.calls
        Thread.current[:choria_method_calls] ||= []
      end

      # The call being evaluated, if it is of that method, and once: what its block does is not at its
      # position. Methods are also invoked in other ways, as in $result['data'] among the arguments.
      def self.take(name)
        call = calls.last
        return unless call && call.functor_expr.right_expr.value == name

        calls[-1] = nil
        call
      end

      def self.track
        evaluator = Puppet::Pops::Evaluator::EvaluatorImpl
        function = Puppet::Pops::Types::PObjectType::PFunction
        return unless evaluator.method_defined?(:eval_CallMethodExpression) && function.method_defined?(:invoke)

        evaluator.prepend(Evaluator)
        function.prepend(Method)
      end
    end
  end
end
