# @summary Finds the nodes whose Puppet agent has been in one run for longer than runs take
#
# An agent that was seen idle once in that time is not stuck, though it may be in the next run by then.
#
# @param nodes
#   The nodes to look at. Empty means every node that has the puppet agent.
# @param checks
#   How often to look.
# @param sleep
#   Seconds between two looks. Together they are how long a run may take.
# @return The names of the nodes. One that does not answer is not among them.
plan mcollective_agent_puppet::find_stuck_agents (
  Choria::Nodes $nodes  = [],
  Integer[1]    $checks = 10,
  Integer[0]    $sleep  = 20,
) {
  $targets = $nodes ? {
    []      => choria::discover('mcollective', { 'agents' => ['puppet'] }),
    default => $nodes,
  }

  $results = choria::task('mcollective', {
      'description'  => 'wait until the Puppet agent has ended its run',
      'action'       => 'puppet.status',
      'nodes'        => $targets,
      'assert'       => 'applying=false',
      'tries'        => $checks,
      'try_sleep'    => $sleep,
      'retry_failed' => true,
      'silent'       => true,
      'fail_ok'      => true,
  })

  $stuck = $results.error_set.filter |$result| { $result['data'] =~ Hash and $result['data']['applying'] }
  return $stuck.map |$result| { $result.host }
}
