# frozen_string_literal: true

# Brokers whose configuration is compared with the texts in spec/expected/broker, and read back by the
# daemon's own parser.
module Brokers
  PEERS = (1..3).map { |n| "nats://choria#{n}.example.com:4223" }.freeze
  ADAPTER = {
    'stream' => {
      'servers' => ['choria1.example.com:4222', 'choria2.example.com:4222'],
      'topic' => 'choria.node_metadata.%s',
      'workers' => 10
    },
    'ingest' => { 'topic' => 'mcollective.broadcast.agent.discovery', 'protocol' => 'request', 'workers' => 10 }
  }.freeze
  CHORIA = {
    'token_file' => '/etc/choria/broker.jwt', 'seed_file' => '/etc/choria/broker.seed',
    'certificate' => '/etc/choria/tls.crt', 'key' => '/etc/choria/tls.key', 'ca' => '/etc/choria/ca.crt'
  }.freeze
  ISSUER = { 'name' => 'acme', 'public' => 'b7e8' * 16 }.freeze

  # Parameters of choria::broker by the name of the text.
  ALL = {
    'minimal' => {},
    'cluster' => { 'network_peers' => PEERS },
    'federation' => {
      'network_broker' => false, 'federation_broker' => true, 'federation_cluster' => 'london',
      'federation_middleware_hosts' => ['nats://hub1.example.com:4222', 'nats://hub2.example.com:4222'],
      'collective_middleware_hosts' => PEERS, 'stats_port' => 0
    },
    'adapter_inside' => {
      'network_broker' => false,
      'adapters' => { 'discovery' => ADAPTER.merge('stream' => ADAPTER['stream'].merge('type' => 'choria_streams')) }
    },
    'adapter_beside' => {
      'network_broker' => false,
      'adapters' => {
        'registration' => {
          'type' => 'natsstream', 'queue_len' => 500,
          'stream' => { 'clusterid' => 'inventory', 'servers' => ['stan.example.com:4222'] },
          'ingest' => { 'topic' => 'mcollective.broadcast.agent.registration' }
        },
        'discovery' => ADAPTER.merge('type' => 'jetstream')
      }
    },
    'adapter_others' => {
      'network_broker' => false,
      'adapters' => {
        'kafka' => {
          'type' => 'kafka',
          'stream' => { 'servers' => ['kafka1.example.com:9093', 'kafka2.example.com:9093'],
                        'topic' => 'choria.inventory', 'tls' => true, 'tls.ca' => '/etc/choria/kafka-ca.pem',
                        'sasl' => 'scram-sha-512', 'user' => 'choria',
                        'password_file' => '/etc/choria/kafka-password' },
          'ingest' => { 'topic' => 'mcollective.broadcast.agent.registration', 'protocol' => 'request' },
          'queue_len' => 500, 'dead_letters' => 'dead', 'spill' => { 'directory' => '/srv/spill', 'max_size' => 2**30 }
        },
        'search' => {
          'type' => 'opensearch',
          'stream' => { 'urls' => ['https://search.example.com:9200'], 'topic' => 'choria-inventory',
                        'api_key_file' => '/etc/choria/search-key' },
          'ingest' => { 'topic' => 'mcollective.broadcast.agent.registration', 'protocol' => 'request',
                        'verify' => false }
        },
        'stan' => {
          'type' => 'nats_stream',
          'stream' => { 'clusterid' => 'inventory', 'servers' => ['stan.example.com:4222'], 'tls' => true,
                        'tls.certificate' => '/etc/choria/stan.crt', 'tls.key' => '/etc/choria/stan.key' },
          'ingest' => { 'topic' => 'mcollective.broadcast.agent.registration', 'protocol' => 'request' }
        }
      }
    },
    'leafnode' => {
      'leafnode_port' => 7422,
      'leafnode_upstreams' => {
        'hub' => {
          'url' => 'leafnode://hub.example.com:7422', 'credentials' => '',
          'tls' => { 'cert' => '/etc/choria/leaf.crt', 'key' => '/etc/choria/leaf.key', 'ca' => '/etc/choria/leaf.ca',
                     'verify' => true, 'disable' => '' }
        }
      }
    },
    'issuer' => { 'issuer' => ISSUER, 'choria_security' => CHORIA },
    'everything' => {
      'federation_broker' => true, 'federation_cluster' => 'london', 'federation_instance' => 'a',
      'federation_middleware_hosts' => ['tls://hub1.example.com:4222'],
      'collective_middleware_hosts' => ['[2001:db8::1]:4222'],
      'adapters' => { 'discovery' => ADAPTER },
      'listen_address' => '192.0.2.1', 'client_port' => 4333, 'websocket_port' => 4334, 'leafnode_port' => 7422,
      'network_peers' => PEERS.map { |peer| peer.sub(/:4223/, '') }, 'cluster_peer_port' => 5333,
      'peer_user' => 'peer', 'peer_password' => 'p4ssw0rd', 'stats_listen_address' => '::', 'stats_port' => 8333,
      'client_hosts' => ['192.0.2.0/24', '2001:db8::/64'], 'identity' => 'broker1.example.com',
      'ssldir' => '/etc/choria/ssl', 'tls_timeout' => 5, 'cluster_name' => 'LONDON',
      'leafnode_upstreams' => { 'b' => { 'url' => 'leafnode://b.example.com:7422' },
                                'a' => { 'url' => 'leafnode://a.example.com:7422', 'account' => 'other' } },
      'stream_store' => '/srv/streams', 'event_retention' => '1d', 'machine_retention' => '2d',
      'advisory_retention' => '3d', 'event_replicas' => 3, 'machine_replicas' => 2, 'advisory_replicas' => -1,
      'system_user' => 'system', 'system_password' => 's3cr3t', 'provisioner_password' => 'pr0v',
      'provisioning_signer_source' => 'puppet:///modules/site/signer.pem', 'issuer' => ISSUER,
      'file_security' => { 'certificate' => '/etc/choria/tls.crt', 'key' => '/etc/choria/tls.key',
                           'ca' => '/etc/choria/ca.crt' },
      'config' => { 'plugin.choria.network.write_deadline' => '5s', 'plugin.choria.network.auth_timeout' => '4s' }
    }
  }.freeze

  module_function

  def expected(name)
    File.join(ROOT, 'spec/expected/broker', "#{name}.conf")
  end
end
