# @summary Enables the Puppet agent
#
# @param nodes
#   The nodes. Empty enables it on every node that has the puppet agent.
# @return The replies.
plan mcollective_agent_puppet::enable (
  Choria::Nodes $nodes = [],
) {
  $targets = $nodes ? {
    []      => choria::discover('mcollective', { 'agents' => ['puppet'] }),
    default => $nodes,
  }

  return choria::task('mcollective', {
      'description' => 'enable the Puppet agent',
      'action'      => 'puppet.enable',
      'nodes'       => $targets,
      'silent'      => true,
      'fail_ok'     => true,
  })
}
