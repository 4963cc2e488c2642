# @summary Enables Puppet on all nodes
#
# @param ds
#   The data store with the data of the suites.
plan cspec::post_flight (
  Hash $ds,
) {
  notice('Enabling Puppet on all nodes')

  $nodes = choria::discover('mcollective', {
      'agents'           => ['puppet'],
      'discovery_method' => choria::data('nodes.method', $ds + { 'default' => 'mc' }),
      'empty_ok'         => true,
  })

  unless $nodes.empty {
    choria::task('mcollective', {
        'description' => 'enable Puppet',
        'action'      => 'puppet.enable',
        'nodes'       => $nodes,
        'silent'      => true,
    })
  }

  return undef
}
