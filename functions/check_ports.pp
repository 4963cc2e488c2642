# @summary Refuses two services of a broker on one port
#
# @return Nothing.
# @api private
function choria::check_ports() {
  $ports = {
    'client_port'       => $choria::broker::network_broker ? { true => $choria::broker::client_port, default => 0 },
    'cluster_peer_port' => pick($choria::broker::peer_port, 0),
    'stats_port'        => $choria::broker::stats_port,
    'websocket_port'    => $choria::broker::websocket_port,
    'leafnode_port'     => $choria::broker::leafnode_port,
  }.filter |$name, $port| { $port != 0 }

  $ports.group_by |$pair| { $pair[1] }.each |$port, $users| {
    if $users.length > 1 {
      $names = $users.map |$pair| { $pair[0] }.join(' and ')
      fail("choria::broker: ${names} are both ${port}: set one of them to another port")
    }
  }
}
