# @summary Disables the Puppet agents of a cluster and waits until no run is going on
#
# Whoever enables or disables agents of the cluster holds the same lock, so that no two playbooks get into each
# other's way.
#
# @param cluster
#   Which nodes: those with this value of the fact cluster.
# @param message
#   Shown to whoever finds an agent disabled.
# @param settings
#   The settings of the company, see acme::slack_notify; `consul.address` is where Consul answers.
# @return The nodes.
plan acme::disable_puppet_and_wait (
  Enum['alpha','bravo'] $cluster,
  String[1]             $message  = 'the Puppet Server is restarted',
  String[1]             $settings = '~/.acme.yaml',
) {
  choria::run_playbook('acme::slack_notify', {
      'message'  => "Disabling Puppet in cluster ${cluster}",
      'color'    => 'warning',
      'settings' => $settings,
  })

  $puppet_agents = choria::discover('mcollective', {
      'agents' => ['puppet'],
      'facts'  => ["cluster=${cluster}"],
      'uses'   => { 'puppet' => '>= 1.13.1' },
  })

  $consul = {
    'type'    => 'consul',
    'address' => choria::data('consul.address', {
        'type' => 'file', 'file' => $settings, 'format' => 'yaml', 'default' => '127.0.0.1:8500',
    }),
    'timeout' => 120,
    'ttl'     => 60,
  }

  choria::lock("locks/puppet/${cluster}", $consul) || {
    choria::task(
      'action'     => 'puppet.disable',
      'nodes'      => $puppet_agents,
      'fail_ok'    => true, # some may be disabled already
      'silent'     => true,
      'properties' => { 'message' => $message }
    )

    choria::task(
      'action'    => 'puppet.status',
      'nodes'     => $puppet_agents,
      'assert'    => 'idling=true',
      'tries'     => 10,
      'try_sleep' => 20,
      'silent'    => true
    )
  }

  choria::run_playbook('acme::slack_notify', {
      'message'  => "Puppet is disabled on ${puppet_agents.length} nodes of cluster ${cluster}, and idle",
      'settings' => $settings,
  })

  return $puppet_agents
}
