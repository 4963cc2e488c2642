# @summary Brings all nodes into a state that can be tested: one Puppet run, then no more
#
# @param ds
#   The data store with the data of the suites.
plan cspec::pre_flight (
  Hash $ds,
) {
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
      'batch_sleep_time' => 30,
      'fail_ok'          => true,
      'silent'           => true,
      'properties'       => { 'force' => true },
  })

  choria::task('mcollective', {
      'description' => 'disable Puppet',
      'action'      => 'puppet.disable',
      'nodes'       => $nodes,
      'pre_sleep'   => 5,
      'fail_ok'     => true,
      'silent'      => true,
      'properties'  => { 'message' => "Disabled by playbook ${facts['choria']['playbook']}" },
  })

  choria::task('mcollective', {
      'description' => 'wait until Puppet is idle',
      'action'      => 'puppet.status',
      'nodes'       => $nodes,
      'assert'      => 'idling=true',
      'pre_sleep'   => 5,
      'tries'       => 10,
      'try_sleep'   => 20,
      'silent'      => true,
  })

  return undef
}
