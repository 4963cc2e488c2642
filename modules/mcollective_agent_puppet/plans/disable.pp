# @summary Disables the Puppet agent
#
# @param nodes
#   The nodes. Empty disables it on every node that has the puppet agent.
# @param message
#   Shown to whoever finds the agent disabled.
# @return The replies.
plan mcollective_agent_puppet::disable (
  Choria::Nodes        $nodes   = [],
  Optional[String[1]]  $message = undef,
) {
  $targets = $nodes ? {
    []      => choria::discover('mcollective', { 'agents' => ['puppet'] }),
    default => $nodes,
  }
  $reason = $message ? {
    undef   => "Disabled by playbook ${facts['choria']['playbook']}",
    default => $message,
  }

  return choria::task('mcollective', {
      'description' => 'disable the Puppet agent',
      'action'      => 'puppet.disable',
      'nodes'       => $targets,
      'silent'      => true,
      'fail_ok'     => true,
      'properties'  => { 'message' => $reason },
  })
}
