# frozen_string_literal: true

require_relative '../../../../puppet_x/choria/error'
require_relative '../../../../puppet_x/choria/task_input'

# Checks parameters of a Puppet Task against its metadata. All that does not fit is told in one error.
#
# @example
#   choria::tasks::validate_input({ 'name' => 'nginx', 'action' => 'install' }, choria::tasks::metadata('package'))
Puppet::Functions.create_function(:'choria::tasks::validate_input') do
  # @param input The parameters.
  # @param metadata What `choria::tasks::metadata` returned.
  # @return True.
  dispatch :validate_input do
    param 'Hash[String[1], Any]', :input
    param 'Hash[String[1], Data]', :metadata
    return_type 'Boolean'
  end

  def validate_input(input, metadata)
    problems = PuppetX::Choria::TaskInput.problems(input, metadata.dig('metadata', 'parameters') || {})
    return true if problems.empty?

    raise PuppetX::Choria::Error.new("parameters of the task: #{problems.join('; ')}", 'choria.playbook/task_input')
  end
end
