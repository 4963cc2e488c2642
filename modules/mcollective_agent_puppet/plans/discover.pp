# @summary Finds the nodes whose Puppet agent is in a state
#
# @example Everything that somebody has disabled
#   mco playbook run mcollective_agent_puppet::discover --state disabled
#
# @param state
#   The state: whether the agent may run (`enabled`, `disabled`), whether it applies a catalog at the moment, whether
#   it is a daemon that waits for its next run (`idling`), or `stopped`, which is no daemon and no run.
# @param nodes
#   The nodes to look at. Empty means every node that has the puppet agent.
# @return The names of the nodes. One that does not answer is not among them.
plan mcollective_agent_puppet::discover (
  Enum['enabled', 'disabled', 'applying', 'idling', 'stopped'] $state,
  Choria::Nodes                                                $nodes = [],
) {
  $targets = $nodes ? {
    []      => choria::discover('mcollective', { 'agents' => ['puppet'] }),
    default => $nodes,
  }

  $results = choria::task('mcollective', {
      'description' => 'ask what the Puppet agent does',
      'action'      => 'puppet.status',
      'nodes'       => $targets,
      'silent'      => true,
      'fail_ok'     => true,
  })

  $found = $results.ok_set.filter |$result| {
    $status = $result['data']
    $state ? {
      'disabled' => !$status['enabled'],
      'stopped'  => !($status['daemon_present'] or $status['applying']),
      default    => $status[$state],
    }
  }
  return $found.map |$result| { $result.host }
}
