# frozen_string_literal: true

require_relative '../../../puppet_x/choria/host'
require_relative '../../../puppet_x/choria/task_results'

# Runs several tasks at the same time, and returns when all have ended.
#
# Each task has the properties of choria::task; `_type` says which type it is, mcollective unless given. One
# that fails makes the call fail once all have ended, unless it has `_catch_errors` or `fail_ok`.
#
# @example Two clusters at once
#   $results = choria::tasks([
#     { 'action' => 'service.restart', 'nodes' => $london, 'properties' => { 'service' => 'httpd' } },
#     { 'action' => 'service.restart', 'nodes' => $paris, 'properties' => { 'service' => 'httpd' } },
#     { '_type' => 'shell', 'command' => '/usr/local/bin/notify' },
#   ])
Puppet::Functions.create_function(:'choria::tasks') do
  # @param tasks The properties of each task.
  # @param options `limit` is how many run at the same time at most, 10 unless given.
  # @return The results of each task, in the order of the tasks.
  dispatch :tasks do
    param 'Array[Hash[String[1], Any]]', :tasks
    optional_param "Struct[{Optional['limit'] => Integer[1]}]", :options
    return_type 'Array[Choria::TaskResults]'
  end

  def tasks(tasks, options = {})
    answer = PuppetX::Choria::Host.call('choria::tasks', 'tasks', options.merge('tasks' => tasks))
    answer.map { |outcome| PuppetX::Choria::TaskResults.from_host(outcome) }
  end
end
