# @summary Waits until a Puppet Task that was started in the background has ended
#
# @param task_id
#   The id of the task.
# @param nodes
#   The nodes.
# @param tries
#   How often to ask.
# @param sleep
#   Seconds before each time.
# @param fail_ok
#   Whether the task may have failed.
# @return Whether it has ended on all nodes that answered well.
plan choria::tasks::wait (
  String[1]       $task_id,
  Choria::Nodes   $nodes,
  Integer[1]      $tries   = 90,
  Integer[0]      $sleep   = 20,
  Boolean         $fail_ok = false
) {
  Integer[1, $tries].each |$try| {
    $results = choria::task('mcollective',
      'description' => "Status of task ${task_id}",
      'action'      => 'bolt_tasks.task_status',
      'nodes'       => $nodes,
      'pre_sleep'   => $sleep,
      'fail_ok'     => $fail_ok,
      'silent'      => true,
      'properties'  => { 'task_id' => $task_id }
    )
    $running = $results.ok_set.filter |$result| { !$result['data']['completed'] }
    if $running.empty {
      return true
    }
    warning("Task ${task_id} still runs on ${running.length} nodes, try ${try} of ${tries}")
  }
  err("Task ${task_id} has not ended after ${tries} tries")
  return false
}
