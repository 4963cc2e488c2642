# @summary The settings of the network broker
#
# @return The settings.
# @api private
function choria::broker_network() >> Choria::Settings {
  $peers = $choria::broker::network_peers.map |$peer| {
    $peer ? {
      /:\d+\z/ => $peer,
      default  => "${peer}:${choria::broker::peer_port}",
    }
  }

  $settings = $choria::broker::network_broker ? {
    false   => {},
    default => {
      'plugin.choria.broker_network'         => true,
      'plugin.choria.network.listen_address' => $choria::broker::listen_address,
      'plugin.choria.network.client_port'    => $choria::broker::client_port,
      'plugin.choria.network.websocket_port' => choria::unless_zero($choria::broker::websocket_port),
      'plugin.choria.network.tls_timeout'    => $choria::broker::tls_timeout,
      'plugin.choria.network.peer_port'      => $choria::broker::peer_port,
      'plugin.choria.network.peers'          => choria::unless_empty($peers),
      'plugin.choria.network.peer_user'      => $choria::broker::peer_user,
      'plugin.choria.network.peer_password'  => $choria::broker::peer_password,
      'plugin.choria.network.client_hosts'   => choria::unless_empty($choria::broker::client_hosts),
    },
  }
  $settings
}
