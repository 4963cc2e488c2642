# @summary A broker: the middleware that nodes and clients connect to
#
# With nothing set it is a network broker that stands alone. Including it is enough: it includes `choria`.
#
# @example One of three that make up a network
#   class { 'choria::broker':
#     network_peers => [
#       'nats://choria1.example.net:5222',
#       'nats://choria2.example.net:5222',
#       'nats://choria3.example.net:5222',
#     ],
#   }
#
# @example The broker that carries requests from a federation to a site
#   class { 'choria::broker':
#     network_broker              => false,
#     federation_broker           => true,
#     federation_cluster          => 'london',
#     federation_middleware_hosts => ['nats://hub.example.net:4222'],
#     collective_middleware_hosts => ['nats://choria.london.example.net:4222'],
#   }
#
# @param network_broker
#   Whether to run the network broker.
# @param federation_broker
#   Whether to run the federation broker.
# @param federation_cluster
#   Name that federated clients call this site by.
# @param federation_instance
#   Name of this broker among those of the site, for people.
# @param adapters
#   Data adapters, by name.
# @param listen_address
#   Address that clients connect to.
# @param client_port
#   Port that clients connect to.
# @param websocket_port
#   Port that clients connect to over websockets; 0 for none.
# @param leafnode_port
#   Port that leafnodes connect to; 0 for none.
# @param network_peers
#   The brokers of the cluster. This one may be among them; so all of them can have the same list.
# @param cluster_peer_port
#   Port that the other brokers connect to; 0 for the one that all of `network_peers` have, 5222 when they
#   name none.
# @param peer_user
#   User name between the brokers of the cluster.
# @param peer_password
#   Password of that user.
# @param stats_listen_address
#   Address that statistics are served on; `::` for all.
# @param stats_port
#   Port that statistics are served on; 0 for none.
# @param client_hosts
#   Addresses and networks that clients may connect from; all others connect as servers.
# @param federation_middleware_hosts
#   Brokers of the federation; empty looks up SRV records.
# @param collective_middleware_hosts
#   Brokers of this site; empty looks up SRV records.
# @param identity
#   Name of this broker on the network.
# @param ssldir
#   Directory with Puppet's certificates; undef takes that of the class choria.
# @param tls_timeout
#   Seconds that a TLS handshake may take.
# @param cluster_name
#   Name of this cluster to other clusters.
# @param leafnode_upstreams
#   Brokers to connect to as a leafnode, by name.
# @param stream_store
#   Directory of streams; enables them.
# @param event_retention
#   How long lifecycle events are kept.
# @param machine_retention
#   How long events of autonomous agents are kept.
# @param advisory_retention
#   How long advisories about streams are kept.
# @param event_replicas
#   Copies of lifecycle events; -1 for one on each broker of the cluster.
# @param machine_replicas
#   Copies of events of autonomous agents.
# @param advisory_replicas
#   Copies of advisories.
# @param system_user
#   User of the NATS system account.
# @param system_password
#   Password of that user.
# @param provisioner_password
#   Password of the provisioner; enables provisioning.
# @param provisioning_signer_source
#   Where the certificate that signs provisioning tokens comes from, for a `file` resource.
# @param issuer
#   Organization whose tokens are trusted.
# @param choria_security
#   Settings of the security provider choria, in place of Puppet's certificates.
# @param file_security
#   Settings of the security provider file, in place of Puppet's certificates.
# @param config
#   Any further settings.
# @param manage_service
#   Whether to manage the service.
# @param limits
#   Limits of the service; they need systemd.
class choria::broker (
  Boolean                              $network_broker              = true,
  Boolean                              $federation_broker           = false,
  Optional[Choria::ClusterName]        $federation_cluster          = choria::cluster_name(),
  Optional[String[1]]                  $federation_instance         = $facts['networking']['fqdn'],
  Choria::Adapters                     $adapters                    = {},
  Stdlib::Host                         $listen_address              = '::',
  Stdlib::Port                         $client_port                 = 4222,
  Choria::OptionalPort                 $websocket_port              = 0,
  Choria::OptionalPort                 $leafnode_port               = 0,
  Array[Choria::BrokerUrl]             $network_peers               = [],
  Choria::OptionalPort                 $cluster_peer_port           = 0,
  Optional[String[1]]                  $peer_user                   = undef,
  Optional[Choria::Secret]             $peer_password               = undef,
  Stdlib::Host                         $stats_listen_address        = 'localhost',
  Choria::OptionalPort                 $stats_port                  = 8222,
  Array[String[1]]                     $client_hosts                = [],
  Array[Choria::BrokerUrl]             $federation_middleware_hosts = [],
  Array[Choria::BrokerUrl]             $collective_middleware_hosts = [],
  Choria::Identity                     $identity                    = $trusted['certname'],
  Optional[Stdlib::Absolutepath]       $ssldir                      = undef,
  Optional[Integer[1, 60]]             $tls_timeout                 = undef,
  Optional[String[1]]                  $cluster_name                = undef,
  Choria::Leafnodes                    $leafnode_upstreams          = {},
  Optional[Stdlib::Absolutepath]       $stream_store                = undef,
  Choria::Retention                    $event_retention             = '30d',
  Choria::Retention                    $machine_retention           = '30d',
  Choria::Retention                    $advisory_retention          = '30d',
  Integer[-1, 5]                       $event_replicas              = 1,
  Integer[-1, 5]                       $machine_replicas            = 1,
  Integer[-1, 5]                       $advisory_replicas           = 1,
  String                               $system_user                 = '',
  Choria::Secret                       $system_password             = '',
  Choria::Secret                       $provisioner_password        = '',
  Variant[Stdlib::Filesource, String[0, 0]] $provisioning_signer_source = '',
  Optional[Choria::Issuer]             $issuer                      = undef,
  Optional[Choria::ChoriaSecurity]     $choria_security             = undef,
  Optional[Choria::FileSecurity]       $file_security               = undef,
  Choria::Settings                     $config                      = {},
  Boolean                              $manage_service              = true,
  Choria::ServiceLimits                $limits                      = {},
) {
  include choria

  $present = $choria::ensure == 'present'
  $configdir = dirname($choria::broker_config_file)
  $signer = "${configdir}/provisioning-signer-cert.pem"
  $peer_port = choria::peer_port($network_peers, $cluster_peer_port)

  if $present {
    choria::check_broker()
  }

  contain choria::broker::config
  contain choria::broker::service

  if $present {
    Class['choria::install'] -> Class['choria::broker::config'] ~> Class['choria::broker::service']
    Class['choria::install'] ~> Class['choria::broker::service']

    # Settings of plugins are read by every daemon, so that these are for the broker too.
    Choria::Settings_file <| title == "${choria::configdir}/plugin.d/choria.cfg" |> ~> Class['choria::broker::service']
  } else {
    Class['choria::broker::service'] -> Class['choria::install'] -> Class['choria::broker::config']
  }
}
