# @summary Brings all nodes into a state that can be tested: one Puppet run, then no more
#
# @param ds
#   The data store with the data of the suites. Items in seconds: pre_flight.batch_sleep between the batches
#   of the run, pre_flight.wait before Puppet is disabled and before it is looked at, pre_flight.try_sleep
#   between two looks.
plan cspec::pre_flight (
  Hash $ds,
) {
  $batch_sleep = choria::data('pre_flight.batch_sleep', $ds + { 'default' => 30 })
  $wait = choria::data('pre_flight.wait', $ds + { 'default' => 5 })
  $try_sleep = choria::data('pre_flight.try_sleep', $ds + { 'default' => 20 })

  notice('Preparing all nodes')

  $nodes = choria::discover('mcollective', {
      'agents'           => ['puppet'],
      'discovery_method' => choria::data('nodes.method', $ds + { 'default' => 'mc' }),
      'when_empty'       => 'No node has the puppet agent: use --no-pre_post to leave Puppet alone',
  })

  choria::task('mcollective', {
      'description'      => 'run Puppet once',
      'action'           => 'puppet.runonce',
      'nodes'            => $nodes,
      'batch_size'       => 10,
      'batch_sleep_time' => $batch_sleep,
      'fail_ok'          => true,
      'silent'           => true,
      'properties'       => { 'force' => true },
  })

  choria::task('mcollective', {
      'description' => 'disable Puppet',
      'action'      => 'puppet.disable',
      'nodes'       => $nodes,
      'pre_sleep'   => $wait,
      'fail_ok'     => true,
      'silent'      => true,
      'properties'  => { 'message' => "Disabled by playbook ${facts['choria']['playbook']}" },
  })

  # Whether a daemon idles does not matter: where Puppet is run by a timer, or not at all, there is none. A run
  # that has not begun by now finds Puppet disabled and ends.
  choria::task('mcollective', {
      'description' => 'wait until no Puppet run is going on',
      'action'      => 'puppet.status',
      'nodes'       => $nodes,
      'assert'      => 'idling=true or applying=false',
      'pre_sleep'   => $wait,
      'tries'       => 10,
      'try_sleep'   => $try_sleep,
      'silent'      => true,
  })

  return undef
}
