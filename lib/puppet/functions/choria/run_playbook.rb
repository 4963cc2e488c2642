# frozen_string_literal: true

require_relative '../../../puppet_x/choria/host'
require_relative '../../../puppet_x/choria/plans'
require_relative '../../../puppet_x/choria/failure'
require_relative '../../../puppet_x/choria/task_results'

# Runs another playbook and returns what it returns.
#
# Arguments that begin with an underscore are for the function: with `_catch_errors => true` a failure
# inside is returned as a Choria::TaskResults that holds the exception. A playbook that does not exist
# always raises.
#
# @example
#   choria::run_playbook('site::restart', 'nodes' => $nodes, '_catch_errors' => true)
#     .choria::on_error |$error| { err($error.message) }
Puppet::Functions.create_function(:'choria::run_playbook') do
  # @param name The name of the playbook.
  # @param arguments Its parameters.
  dispatch :run_playbook do
    param 'String[1]', :name
    optional_param 'Hash[String[1], Any]', :arguments
    return_type 'Any'
  end

  def run_playbook(name, arguments = {})
    # That a playbook does not exist is not for _catch_errors.
    file = PuppetX::Choria::Host.call('choria::run_playbook', 'playbook.find', 'name' => name)
    plan_arguments = arguments.reject { |key, _| key.start_with?('_') }
    return PuppetX::Choria::Plans.run(name, file, plan_arguments) unless arguments['_catch_errors']

    begin
      PuppetX::Choria::Plans.run(name, file, plan_arguments)
    rescue Puppet::Error => e
      PuppetX::Choria::TaskResults.new([], PuppetX::Choria::Failure.to_puppet(e))
    end
  end
end
