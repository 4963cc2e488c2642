# @summary Runs a Puppet Task on nodes, which fetch it from their Puppet Server
#
# @param nodes
#   The nodes.
# @param task
#   The name of the task.
# @param inputs
#   Its parameters.
# @param background
#   Whether the task is only started: its id, with which `choria::tasks::status` and `choria::tasks::wait` ask for
#   it, is then the request id of the results.
# @param silent
#   Whether good replies are not logged.
# @param batch_size
#   How many nodes at a time, 0 for all.
# @param batch_sleep_time
#   Seconds between batches.
# @param run_as
#   The user to run the task as; undef is that of the daemon.
# @param tasks_environment
#   The environment of Puppet that the task is from.
# @param catch_errors
#   Whether a failure is returned instead of raised.
# @return The results, one for each node.
plan choria::tasks::run (
  Choria::Nodes         $nodes,
  String[1]             $task,
  Hash[String[1], Any]  $inputs            = {},
  Boolean               $background        = false,
  Boolean               $silent            = false,
  Integer[0]            $batch_size        = 0,
  Integer[0]            $batch_sleep_time  = 2,
  Optional[String[1]]   $run_as            = undef,
  String[1]             $tasks_environment = 'production',
  Optional[Boolean]     $catch_errors      = undef
) {
  $metadata = choria::tasks::metadata($task, $tasks_environment)
  choria::tasks::validate_input($inputs, $metadata)

  $downloads = choria::run_playbook('choria::tasks::download_files',
    'task'              => $task,
    'files'             => $metadata['files'],
    'nodes'             => $nodes,
    'tasks_environment' => $tasks_environment,
    'catch_errors'      => $catch_errors
  )
  unless $downloads.ok {
    return $downloads
  }

  $action = $background ? {
    true    => 'run_no_wait',
    default => 'run_and_wait',
  }
  $optional = {
    'input_method' => $metadata['metadata']['input_method'],
    'run_as'       => $run_as,
  }.filter |$name, $value| { $value =~ NotUndef }

  return choria::task('mcollective',
    '_catch_errors'    => $catch_errors == true,
    'description'      => "Run task ${task}",
    'action'           => "bolt_tasks.${action}",
    'nodes'            => $nodes,
    'batch_size'       => $batch_size,
    'batch_sleep_time' => $batch_sleep_time,
    'silent'           => $silent,
    'properties'       => {
      'task'  => $task,
      'files' => choria::tasks::encode($metadata['files']),
      'input' => choria::tasks::encode($inputs),
    } + $optional
  )
}
