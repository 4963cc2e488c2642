# @summary Asks nodes how far a Puppet Task is
#
# @param task_id
#   The id of the task.
# @param nodes
#   The nodes.
# @param fail_ok
#   Whether the task may have failed.
# @return The results, one for each node.
plan choria::tasks::status (
  String[1]     $task_id,
  Choria::Nodes $nodes,
  Boolean       $fail_ok = false
) {
  return choria::task('mcollective',
    'description' => "Status of task ${task_id}",
    'action'      => 'bolt_tasks.task_status',
    'nodes'       => $nodes,
    'fail_ok'     => $fail_ok,
    'silent'      => true,
    'properties'  => { 'task_id' => $task_id }
  )
}
