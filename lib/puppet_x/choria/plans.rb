# frozen_string_literal: true

require_relative 'cleanup'
require_relative 'error'

module PuppetX
  module Choria
    # Finds and calls plans.
    module Plans
      module_function

      # @return [Puppet::Functions::Function, nil] nil when there is no plan of that name
      # @raise [Puppet::Error] when its file does not parse
      def load(name)
        Puppet.lookup(:loaders).private_environment_loader.load(:plan, name)
      end

      # Loads and calls a plan.
      #
      # @param file [String] the file that has to define it
      def run(name, file, arguments)
        plan = load(name)
        raise Error, "#{file} does not define playbook #{name}" unless plan

        call(plan, arguments)
      end

      # Calls a plan as Puppet does: missing, unknown and ill-typed arguments come as one error, and the
      # plan sees none of the variables of whoever called it.
      #
      # @return [Object] what the plan returned, or else its last value
      def call(plan, arguments)
        Cleanup.around { evaluate(plan, arguments) }
      end

      def evaluate(plan, arguments)
        jump = catch(:return) do
          Puppet.lookup(:global_scope).with_global_scope do |scope|
            return catch(:next) { dispatcher(plan).call_by_name_with_scope(scope, arguments, true) }
          end
        end
        jump.value
      end

      def dispatcher(plan)
        plan.class.dispatcher.dispatchers[0]
      end
    end
  end
end
