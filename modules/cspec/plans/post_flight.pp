# @summary Enables Puppet on all nodes where it is disabled
#
# A node that does not tell is asked to enable it as well.
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
    $enabled = choria::task('mcollective', {
        'description'   => 'look where Puppet is disabled',
        'action'        => 'puppet.status',
        'nodes'         => $nodes,
        'silent'        => true,
        '_catch_errors' => true,
    }).ok_set.filter |$result| { $result['data']['enabled'] == true }.map |$result| { $result.host }
    $disabled = $nodes - $enabled

    unless $disabled.empty {
      choria::task('mcollective', {
          'description' => 'enable Puppet',
          'action'      => 'puppet.enable',
          'nodes'       => $disabled,
          'silent'      => true,
      })
    }
  }

  return undef
}
