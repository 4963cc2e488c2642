# @summary Disables the Puppet agent and waits until no run is going on
#
# @param nodes
#   The nodes. Empty means every node that has the puppet agent.
# @param checks
#   How often to look whether the agents are idle.
# @param sleep
#   Seconds between two looks.
# @param message
#   Shown to whoever finds the agent disabled.
# @return The last status of every node.
plan mcollective_agent_puppet::disable_and_wait (
  Choria::Nodes       $nodes   = [],
  Integer[1]          $checks  = 10,
  Integer[0]          $sleep   = 20,
  Optional[String[1]] $message = undef,
) {
  $targets = $nodes ? {
    []      => choria::discover('mcollective', { 'agents' => ['puppet'] }),
    default => $nodes,
  }

  choria::run_playbook('mcollective_agent_puppet::disable', { 'nodes' => $targets, 'message' => $message })

  return choria::task('mcollective', {
      'description' => 'wait until the Puppet agent is idle',
      'action'      => 'puppet.status',
      'nodes'       => $targets,
      'assert'      => 'idling=true',
      'tries'       => $checks,
      'try_sleep'   => $sleep,
      'silent'      => true,
  })
}
