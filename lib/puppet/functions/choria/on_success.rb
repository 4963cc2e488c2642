# frozen_string_literal: true

require_relative '../../../puppet_x/choria/task_results'

# Calls a block when a task has succeeded everywhere, and returns what it was given.
#
# @example
#   choria::task('mcollective', 'action' => 'puppet.enable', 'nodes' => $nodes)
#     .choria::on_success |$results| { notice("${results.count} nodes") }
Puppet::Functions.create_function(:'choria::on_success') do
  # @param results What a task or a playbook returned; other values never trigger the block.
  dispatch :handle do
    param 'Any', :results
    block_param
    return_type 'Any'
  end

  def handle(results)
    yield(results) if results.is_a?(PuppetX::Choria::TaskResults) && !results.failed?
    results
  end
end
