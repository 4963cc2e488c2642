# frozen_string_literal: true

module Choria
  module Shim
    # Watches which libraries an action requires, so that the next one finds them loaded. Only what
    # the action itself requires counts, not what those libraries require in their turn.
    class Learner
      def initialize
        @found = []
        @depth = 0
        @thread = Thread.current
      end

      def start
        method = Kernel.instance_method(:require)
        name = method.parameters.first.last
        @trace = TracePoint.new(:call, :return) do |tp|
          note(tp, name) if tp.method_id == :require && Thread.current == @thread
        end
        # Watching this one method alone costs nothing elsewhere. Ruby 2.5 cannot do that.
        TracePoint.instance_method(:enable).arity.zero? ? @trace.enable : @trace.enable(target: method)
      rescue ArgumentError
        @trace = nil # require is not written in Ruby here, and cannot be watched
      end

      # Ends watching and returns the names, in the order they were required in.
      def finish
        @trace&.disable
        @found.uniq
      end

      private

      def note(event, name)
        if event.event == :call
          @name = event.binding.local_variable_get(name) if @depth.zero?
          @depth += 1
        else
          @depth -= 1 if @depth.positive?
          @found << @name.to_s if @depth.zero? && event.return_value == true
        end
      end
    end
  end
end
