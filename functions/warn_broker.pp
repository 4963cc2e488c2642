# @summary Warns of parameters of choria::broker that are hardly meant so
#
# @return Nothing.
# @api private
function choria::warn_broker() {
  $peers = $choria::broker::network_peers
  $shared = choria::shared_settings($choria::client, $choria::server)

  unless $peers.empty {
    unless $choria::broker::network_broker {
      warning('choria::broker: network_peers is set without network_broker: it has no effect')
    }
    if $peers.length % 2 == 0 {
      warning(
        "choria::broker: ${peers.length} network_peers:",
        'have an odd number of brokers, so that one side of a split has the majority'
      )
    }
    $hosts = $peers.map |$peer| { regsubst(regsubst($peer, '\A\w+://', ''), ':\d+\z', '') }
    unless [$choria::broker::identity, $facts['networking']['fqdn'], $facts['networking']['ip']].any |$name| { $name in $hosts } {
      warning("choria::broker: ${choria::broker::identity} is not one of network_peers: name all brokers of the cluster on each of them")
    }
  }
  if !$choria::broker::collective_middleware_hosts.empty and 'middleware_hosts' in $shared {
    warning(
      'choria::broker: middleware_hosts in choria::shared_config wins over collective_middleware_hosts:',
      'use choria::server_config and choria::client_config for it'
    )
  }
}
