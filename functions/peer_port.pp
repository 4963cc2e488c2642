# @summary The port that the brokers of a cluster connect to
#
# @param peers
#   The brokers of the cluster.
# @param port
#   The port; 0 for the one that they have in common, 5222 when they name none.
# @return The port, undef when there is no cluster.
# @api private
function choria::peer_port(Array[Choria::BrokerUrl] $peers, Choria::OptionalPort $port) >> Optional[Stdlib::Port] {
  $ports = unique($peers.filter |$peer| { $peer =~ /:\d+\z/ }.map |$peer| { Integer(regsubst($peer, '\A.*:', '')) })

  if $port != 0 {
    $port
  } elsif $peers.empty {
    undef
  } elsif $ports.length > 1 {
    fail("choria::broker: network_peers name the ports ${ports.sort.join(', ')}: set cluster_peer_port to the one that this broker has")
  } elsif $ports.empty {
    5222
  } else {
    $ports[0]
  }
}
