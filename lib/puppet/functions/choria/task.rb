# frozen_string_literal: true

require_relative '../../../puppet_x/choria/host'
require_relative '../../../puppet_x/choria/task_results'

# Runs a task and returns what came of it on every node.
#
# Keys that begin with an underscore are for the function: with `_catch_errors => true` a task that
# fails is returned instead of raised. All others are properties of the task.
#
# @example Restart a service, ten nodes at a time
#   choria::task('mcollective',
#     'action'     => 'service.restart',
#     'nodes'      => $nodes,
#     'batch_size' => 10,
#     'properties' => { 'service' => 'httpd' }
#   )
Puppet::Functions.create_function(:'choria::task') do
  # @param type The type of the task: mcollective, shell, webhook, slack, graphite_event, email or nats.
  # @param properties The properties of the task.
  # @return The results, one for each node.
  dispatch :task do
    param 'String[1]', :type
    param 'Hash[String[1], Any]', :properties
    return_type 'Choria::TaskResults'
  end

  # @param properties The properties of a task of type mcollective.
  # @return The results, one for each node.
  dispatch :request do
    param 'Hash[String[1], Any]', :properties
    return_type 'Choria::TaskResults'
  end

  def task(type, properties)
    answer = PuppetX::Choria::Host.call('choria::task', 'task', 'type' => type, 'properties' => properties)
    PuppetX::Choria::TaskResults.from_host(answer)
  end

  def request(properties)
    task('mcollective', properties)
  end
end
