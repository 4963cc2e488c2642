# frozen_string_literal: true

require_relative '../../../puppet_x/choria/task_results'

# Calls a block when a task or a caught playbook has failed, and returns what it was given.
#
# @example
#   choria::task('mcollective', '_catch_errors' => true, 'action' => 'puppet.disable', 'nodes' => $nodes)
#     .choria::on_error |$results| { err($results.message) }
Puppet::Functions.create_function(:'choria::on_error') do
  # @param results What a task or a playbook returned; other values never trigger the block.
  dispatch :handle do
    param 'Any', :results
    block_param
    return_type 'Any'
  end

  def handle(results)
    yield(results) if results.is_a?(PuppetX::Choria::TaskResults) && results.failed?
    results
  end
end
