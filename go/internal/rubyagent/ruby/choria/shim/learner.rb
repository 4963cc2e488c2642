# frozen_string_literal: true

module Choria
  module Shim
    # Watches which libraries an action requires, so that the next one finds them loaded, and how long
    # that takes. Only what the action itself requires counts, not what those libraries require in their
    # turn.
    class Learner
      # The block gets the name of each library before it is loaded: the action may not live to see that.
      def initialize(&block)
        @block = block
        @depth = 0
        @loaded = 0.0
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

      # Ends watching.
      def finish
        @trace&.disable
      end

      # Seconds that loading libraries has taken so far. Any thread may ask.
      def loading
        since = @since
        since ? @loaded + now - since : @loaded
      end

      private

      def note(event, name)
        event.event == :call ? enter(event, name) : leave
      end

      def enter(event, name)
        if @depth.zero?
          @since = now
          @block&.call(event.binding.local_variable_get(name).to_s)
        end
        @depth += 1
      end

      def leave
        @depth -= 1 if @depth.positive?
        return unless @depth.zero? && @since

        @loaded += now - @since
        @since = nil
      end

      def now
        Process.clock_gettime(Process::CLOCK_MONOTONIC)
      end
    end
  end
end
