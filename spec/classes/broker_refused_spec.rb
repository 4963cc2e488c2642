# frozen_string_literal: true

require_relative '../support/warnings'

RSpec.describe 'choria::broker' do
  let(:node) { 'c1.example.com' }

  peers = ['nats://c1.example.com:4223', 'nats://c2.example.com:4223', 'nats://c3.example.com:4223']
  adapter = { 'stream' => { 'topic' => 'a' }, 'ingest' => { 'topic' => 'b' } }
  stan = { 'type' => 'nats_stream', 'ingest' => { 'topic' => 'b' } }
  choria = { 'token_file' => '/a', 'seed_file' => '/b' }
  file = { 'certificate' => '/a', 'key' => '/b', 'ca' => '/c' }

  {
    'a federation without a name' => [{ 'federation_broker' => true, 'federation_cluster' => '' },
                                      /'federation_cluster'/],
    'nothing to run' => [{ 'network_broker' => false }, /nothing to run: set network_broker/],
    'peers with different ports' => [{ 'network_peers' => ['a:1', 'b:2'] }, /the ports 1, 2: set cluster_peer_port/],
    'two services on one port' => [{ 'stats_port' => 4222 }, /client_port and stats_port are both 4222/],
    'the port of clients for peers' => [{ 'network_peers' => ['a:4222'] },
                                        /client_port and cluster_peer_port are both/],
    'an adapter of an unknown type' => [{ 'adapters' => { 'a' => adapter.merge('type' => 'x') } },
                                        /'adapters' entry 'a'/],
    'an adapter of two types' => [
      { 'adapters' => { 'a' => adapter.merge('type' => 'jetstream',
                                             'stream' => { 'topic' => 'a', 'type' => 'choria_streams' }) } },
      /the adapter a has the type jetstream, and choria_streams below stream/
    ],
    'NATS Streaming without a cluster' => [
      { 'adapters' => { 'a' => stan.merge('stream' => { 'servers' => ['a:1'] }) } }, /'adapters' entry 'a'/
    ],
    'NATS Streaming without servers' => [
      { 'adapters' => { 'a' => stan.merge('stream' => { 'clusterid' => 'c',
                                                        'servers' => [] }) } }, /'adapters' entry 'a'/
    ],
    'a user without a password' => [{ 'system_user' => 'a' }, /only one of system_user and system_password/],
    'a password without a user' => [{ 'system_password' => 'a' }, /only one of system_user and system_password/],
    'a peer without a password' => [{ 'peer_user' => 'a' }, /only one of peer_user and peer_password/],
    'a signer without a password' => [{ 'provisioning_signer_source' => '/a' }, /without provisioner_password/],
    'tokens without an issuer' => [{ 'choria_security' => choria }, /choria_security is set without issuer/],
    'two security providers' => [
      { 'choria_security' => choria, 'file_security' => file, 'issuer' => { 'name' => 'a', 'public' => 'ab' } },
      /choria_security and file_security are both set/
    ],
    'a setting that is there already' => [{ 'config' => { 'plugin.choria.stats_port' => 1 } },
                                          /config has plugin.choria.stats_port, which parameters/],
    'a peer without a port and a scheme' => [{ 'network_peers' => ['c1.example.com'] }, /'network_peers'/]
  }.each do |what, (parameters, message)|
    context "with #{what}" do
      let(:params) { parameters }

      it { is_expected.to compile.and_raise_error(message) }
    end
  end

  {
    'an even number of peers' => [{ 'network_peers' => peers[0, 2] }, /2 network_peers: have an odd number/],
    'peers but no network' => [{ 'network_peers' => peers, 'network_broker' => false,
                                 'adapters' => { 'a' => adapter } },
                               /network_peers is set without network_broker/],
    'peers that are all others' => [{ 'network_peers' => ['x:1'] }, /c1.example.com is not one of network_peers/]
  }.each do |what, (parameters, message)|
    context "with #{what}" do
      let(:params) { parameters }

      it('warns') { expect(warnings).to include(message) }
    end
  end

  context 'with brokers of the site that settings for all daemons override' do
    let(:pre_condition) { 'class { "choria": shared_config => { middleware_hosts => "a:1" } }' }
    let(:params) { { 'federation_broker' => true, 'collective_middleware_hosts' => ['b:1'] } }

    it('warns') { expect(warnings).to include(/wins over collective_middleware_hosts/) }
  end

  context 'with nothing to object to' do
    let(:params) { { 'network_peers' => peers } }

    it('does not warn') { expect(warnings).to be_empty }
  end
end
