# @summary Fetches the files of a Puppet Task to nodes
#
# @param task
#   The name of the task.
# @param files
#   Its files, as `choria::tasks::metadata` lists them.
# @param nodes
#   The nodes.
# @param tasks_environment
#   The environment of Puppet that the task is from.
# @param catch_errors
#   Whether a failure is returned instead of raised.
# @return The results, one for each node.
plan choria::tasks::download_files (
  String[1]         $task,
  Array[Hash]       $files,
  Choria::Nodes     $nodes,
  String[1]         $tasks_environment = 'production',
  Optional[Boolean] $catch_errors      = undef
) {
  return choria::task('mcollective',
    '_catch_errors'    => $catch_errors == true,
    'description'      => "Download the files of task ${task}",
    'action'           => 'bolt_tasks.download',
    'nodes'            => $nodes,
    'batch_size'       => 50,
    'batch_sleep_time' => 1,
    'silent'           => true,
    'properties'       => {
      'task'        => $task,
      'environment' => $tasks_environment,
      'files'       => choria::tasks::encode($files),
    }
  )
}
