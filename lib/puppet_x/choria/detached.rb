# frozen_string_literal: true

module PuppetX
  module Choria
    # A block of a plan with variables of its own: those that there are where the block is written, as they
    # are when the Detached is made. Such a block can be called when the plan has gone on, and while other
    # blocks run. One that is called the ordinary way shares the stack of variables with all others.
    class Detached
      # What Puppet itself sets, and all scopes have.
      RESERVED = %w[facts trusted server_facts].freeze

      # @return [Puppet::Parser::Scope] what playbooks that the block runs have for the outermost
      attr_reader :scope

      # @param block [Proc] the block that Puppet gave to a function
      def initialize(block)
        @closure = block.closure
        origin = @closure.enclosing_scope
        variables = origin.to_hash(true, true).reject { |name, _| name.match?(/\A\d+\z/) }
        @scope = Puppet::Parser::Scope.new(origin.compiler)
        @scope.source = origin.source
        RESERVED.each { |name| @scope.setvar(name, variables[name], privileged: true) if variables.key?(name) }
        @variables = variables.except(*RESERVED)
      end

      # Calls the block. What it gives to return or next is its value.
      def call(*args)
        arguments = @closure.parameters.map(&:name).zip(args).first(args.length).to_h
        jump = catch(:return) do
          return catch(:next) do
            Puppet.override(global_scope: @scope) do
              @scope.with_local_scope(@variables) { @closure.call_by_name_with_scope(@scope, arguments, true) }
            end
          end
        end
        jump.value
      end
    end
  end
end
