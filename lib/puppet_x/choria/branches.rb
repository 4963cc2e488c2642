# frozen_string_literal: true

require_relative 'cleanup'
require_relative 'failure'
require_relative 'leave'
require_relative 'shelter'

module PuppetX
  module Choria
    # Runs blocks of a plan at the same time: one waits for the playbook host while others go on. Each is a fiber;
    # only one of them is evaluated at any moment.
    #
    # There is one Branches for a process. Blocks may run further blocks; whoever reads from the host hands each
    # answer to the branch that waits for it.
    class Branches
      # A block that runs.
      Branch = Struct.new(:number, :group, :fiber, :shelter, :locals)

      # The blocks of one call.
      class Group
        attr_reader :values, :errors, :branches
        attr_accessor :waiter

        def initialize(blocks, limit)
          @blocks = blocks.each_with_index.to_a
          @limit = limit
          @values = []
          @errors = []
          @branches = []
        end

        # Takes the next block to start, while there is room.
        def next
          @blocks.shift if @branches.length < @limit
        end

        # Starts no more blocks.
        def stop
          @blocks.clear
        end

        def done?
          @blocks.empty? && @branches.empty?
        end

        # What the call raises: an interrupt, or the error of the first block that has one. A block that was left is
        # the least of them.
        def error
          found = @errors.compact
          found.find { |error| error.is_a?(Interrupt) } || found.find { |error| !error.is_a?(Leave) } || found.first
        end
      end

      # @param receive [Proc] waits for the next message of the host
      def initialize(&receive)
        @receive = receive
        @waiting = {}
        @current = nil
        # What Puppet keeps for a thread: the positions of calls, and what Puppet.lookup finds.
        @locals = [Puppet::Pops::PuppetStack, Puppet.instance_variable_get(:@context)].map do |owner|
          owner.instance_variable_get(:@stack)
        end
      end

      # @return [Boolean] whether a branch runs
      def inside?
        !@current.nil?
      end

      # Runs blocks, and returns when all have ended, whatever comes of the others.
      #
      # @param blocks [Array<Proc>]
      # @param limit [Integer] how many at the same time
      # @return [Array] their values
      def run(blocks, limit)
        group = Group.new(blocks, limit)
        fill(group)
        wait(group)
        error = group.error
        raise error if error

        group.values
      end

      # Lets others run until the answer to a call of this branch is there.
      def await(id)
        @waiting[id] = @current
        Fiber.yield
      end

      private

      def fill(group)
        while (block, number = group.next)
          start(group, block, number)
        end
      end

      def start(group, block, number)
        branch = Branch.new(number, group, nil, nil, @locals.map { |local| local.value.dup })
        branch.fiber = Fiber.new do
          branch.shelter = Shelter.current
          group.values[number] = Cleanup.around { block.call }
        rescue StandardError, *Failure::FATAL => e
          group.errors[number] = e
        end
        group.branches << branch
        step(branch) { branch.fiber.resume }
      end

      # Lets a branch run until it waits or ends.
      def step(branch, &block)
        switch(branch, &block)
        return if branch.fiber.alive?

        group = branch.group
        group.branches.delete(branch)
        interrupt(group) if group.errors[branch.number].is_a?(Interrupt)
        fill(group)
        waiter = group.waiter
        step(waiter) { waiter.fiber.resume } if waiter && group.done?
      end

      def switch(branch)
        outer = @current
        kept = @locals.map(&:value)
        @current = branch
        @locals.zip(branch.locals) { |local, value| local.value = value }
        yield
      ensure
        branch.locals = @locals.map(&:value)
        @locals.zip(kept) { |local, value| local.value = value }
        @current = outer
      end

      # Waits for the end of a group. An interrupt is for all of its branches, and is raised when they have ended.
      def wait(group)
        interrupted = nil
        until group.done?
          begin
            suspend(group)
          rescue Interrupt => e
            interrupted = e
            interrupt(group)
          end
        end
        raise interrupted if interrupted
      end

      def suspend(group)
        return dispatch(@receive.call) unless inside?

        group.waiter = @current
        Fiber.yield
      ensure
        group.waiter = nil
      end

      # Hands an answer to the branch that waits for it.
      def dispatch(answer)
        branch = @waiting.delete(answer['id'])
        step(branch) { branch.fiber.resume(answer) } if branch
      end

      def interrupt(group)
        group.stop
        group.branches.dup.each do |branch|
          next if branch.equal?(@current) || branch.shelter&.postpone

          @waiting.delete_if { |_, waiting| waiting.equal?(branch) }
          step(branch) { branch.fiber.raise(Interrupt) } if branch.fiber.alive?
        end
      end
    end
  end
end
