# frozen_string_literal: true

require 'json'

# A network of two sites, which nothing but runs of Puppet brings up: the site tokyo has a cluster of three
# brokers with streams, data adapters and federation brokers, and two nodes beside these; people work at the
# hub, which tokyo is federated with.
RSpec.describe 'a network of hosts', order: :defined do
  brokers = %w[c1.example.net c2.example.net c3.example.net]
  nodes = %w[n1.example.net n2.example.net]
  hub = 'hub.example.net'

  # All data, as the hierarchy of a site has it: for every host, for the kinds of them, for one.
  def data(host, hub:, brokers:)
    kind = case host
           when hub then at_the_hub(host)
           when *brokers then on_a_broker(hub, brokers)
           else on_a_node(brokers)
           end
    everywhere.merge(kind)
  end

  def everywhere
    {
      'choria::manage_package_repo' => true,
      'choria::repo_baseurl' => "http://#{Network::SERVER}",
      'choria::groups' => { 'operators' => ['choria=alice.mcollective'] },
      'choria::site_policies' => [{ 'action' => 'allow', 'callers' => 'operators' }]
    }
  end

  def at_the_hub(hub)
    {
      'classes' => %w[choria choria::broker],
      'choria::server' => false,
      'choria::client' => true,
      'choria::shared_config' => { 'use_srv' => false },
      'choria::client_config' => {
        'plugin.choria.federation.collectives' => 'tokyo',
        'plugin.choria.federation_middleware_hosts' => "#{hub}:4222"
      }
    }
  end

  def on_a_node(brokers)
    {
      'classes' => %w[choria],
      'choria::shared_config' => { 'use_srv' => false, 'middleware_hosts' => brokers.map { |name| "#{name}:4222" } },
      'choria::server_config' => {
        'registration' => ['inventory_content'],
        'registerinterval' => 10,
        'plugin.choria.registration.inventory_content.target' => 'mcollective.registration.inventory'
      }
    }
  end

  def on_a_broker(hub, brokers)
    on_a_node(brokers).merge(
      'classes' => %w[choria choria::broker],
      'choria::client' => true,
      'choria::broker::network_peers' => brokers.map { |name| "nats://#{name}:5222" },
      'choria::broker::stream_store' => '/srv/streams',
      'choria::broker::event_replicas' => 3,
      'choria::broker::federation_broker' => true,
      'choria::broker::federation_cluster' => 'tokyo',
      'choria::broker::federation_middleware_hosts' => ["#{hub}:4222"],
      'choria::broker::adapters' => {
        'inventory' => {
          'stream' => { 'type' => 'choria_streams', 'topic' => 'inventory.%s' },
          'ingest' => { 'topic' => 'mcollective.registration.inventory', 'protocol' => 'request' }
        }
      }
    )
  end

  before(:context) do
    names = [hub, *brokers, *nodes]
    @network = Network.new(Made.path('cluster'), *names)
    @network.serve(Made.path('www'))
    @hosts = names.to_h do |name|
      release = brokers.include?(name) ? Made.releases.last : Made.releases.first
      host = @network.host(name, **Made.host(release))
      [name, host]
    end
    @hosts['n1.example.net'].write('/etc/facter/facts.d/role.txt', "role=web\n")
    @hosts['n2.example.net'].write('/etc/facter/facts.d/role.txt', "role=db\n")
    %w[alice mallory].each do |person|
      @hosts[hub].run!('useradd', '--create-home', person)
      home = "/home/#{person}"
      @network.authority.enrol(@hosts[hub], "#{person}.mcollective", directory: "#{home}/.puppetlabs/etc/puppet/ssl")
      @hosts[hub].run!('chown', '-R', person, home)
    end
    @network.authority.enrol(@hosts['c1.example.net'], 'alice.mcollective')
  end

  after(:context) do
    @hosts&.each_value { |host| host.halt if host.booted? }
    @network&.serve(nil)
  end

  # What a person at the hub gets to see.
  def at_hub(person, *command)
    @hosts['hub.example.net'].run('runuser', '-l', person, '-c', command.shelljoin)
  end

  # What root gets to see on the first broker, with the certificate of alice.
  def at_c1(*command)
    @hosts['c1.example.net'].run(*command, env: { 'MCOLLECTIVE_CERTNAME' => 'alice.mcollective' })
  end

  def status_of(host, path)
    JSON.parse(@hosts[host].run!('ruby', '-ropen-uri', '-e', 'print URI(ARGV[0]).read', "http://localhost:8222#{path}"))
  end

  def names(result)
    result.output.split.sort
  end

  # One run of Puppet on each host, all at once.
  define_method(:puppet) do
    runs = @hosts.map { |name, host| Thread.new { [name, host.puppet(data(name, hub: hub, brokers: brokers))] } }
    runs.to_h(&:value)
  end

  it 'comes up with one run of Puppet on each host, all at once' do
    expect(puppet.reject { |_, run| run.ok? }.transform_values(&:output)).to be_empty
  end

  it 'changes nothing the second time' do
    expect(puppet.reject { |_, run| run.status.zero? }.transform_values(&:output)).to be_empty
  end

  it 'is one cluster' do
    brokers.each do |name|
      others = -> { status_of(name, '/routez').fetch('routes').map { |route| route['remote_id'] }.uniq }
      Wait.for("two routes of #{name}") { others.call.size == 2 }
    end
  end

  it 'answers a ping at the site' do
    everybody = [*brokers, *nodes].sort
    Wait.for('all nodes', -> { at_c1('mco', 'ping').output }) do
      names(at_c1('mco', 'ping', '--names', '--expect', '5')) == everybody
    end
  end

  it 'answers a ping from the hub, to a person without any rights there' do
    everybody = [*brokers, *nodes].sort
    Wait.for('all nodes', -> { at_hub('alice', 'mco', 'ping').output }) do
      names(at_hub('alice', 'mco', 'ping', '--names', '--expect', '5')) == everybody
    end
  end

  it 'passes the specs of a network, from the hub' do
    suite = {
      'suites' => %w[cspec::discovery cspec::choria cspec::agents::filemgr cspec::agents::nettest cspec::agents::shell
                     cspec::agents::process],
      'choria.version' => @hosts[hub].run!('choria', 'version').split[1],
      'nettest.fqdn' => hub,
      'nettest.port' => 4222,
      'discovery.all_nodes' => [*brokers, *nodes],
      'discovery.mcollective_nodes' => [*brokers, *nodes],
      'discovery.filtered_nodes' => ['n1.example.net'],
      'discovery.fact_filter' => ['role=web']
    }
    @hosts[hub].write('/home/alice/suite.yaml', suite.to_yaml)
    result = at_hub('alice', 'mco', 'playbook', 'run', 'cspec::suite', '--data', 'suite.yaml', '--report',
                    'report.json', '--no-pre_post')
    expect(result).to be_ok, result.output
    report = JSON.parse(@hosts[hub].read('/home/alice/report.json'))
    expect(report.to_s).to include('shell agent')
  end

  it 'carries what nodes register into a stream of the cluster' do
    Wait.for('streams', -> { at_c1('choria', 'stream', 'ls').output }) do
      at_c1('choria', 'stream', 'add', 'INVENTORY', 'inventory.>', '--replicas', '3').ok?
    end
    seen = []
    Wait.for('registrations of all nodes', -> { seen.inspect }) do
      messages = at_c1('choria', 'stream', 'view', 'INVENTORY', '--last', '50', '--json')
      seen = messages.output.scan(/[\w.]+\.example\.net/).uniq.sort
      ([*brokers, *nodes] - seen).empty?
    end
  end

  it 'does what its policies say: alice may, mallory may not' do
    may = at_hub('alice', 'mco', 'rpc', 'shell', 'run', 'command=id -un', '-j')
    expect(may).to be_ok, may.output
    expect(JSON.parse(may.output)['replies'].map { |reply| reply['data']['stdout'] }).to eq(["root\n"] * 5)

    may_not = at_hub('mallory', 'mco', 'rpc', 'shell', 'run', 'command=touch /tmp/mallory', '-j')
    expect(may_not).not_to be_ok
    expect(JSON.parse(may_not.output)['replies'].map { |reply| reply['statuscode'] }).to eq([1] * 5)
    [*brokers, *nodes].each { |name| expect(@hosts[name].run('test', '-e', '/tmp/mallory')).not_to be_ok }

    open_to_all = at_hub('mallory', 'mco', 'rpc', 'rpcutil', 'ping', '-j')
    expect(open_to_all).to be_ok, open_to_all.output
  end

  it 'goes on when a broker is lost' do
    @hosts['c2.example.net'].halt
    left = ['c1.example.net', 'c3.example.net', *nodes]
    Wait.for('the nodes that are left', -> { at_hub('alice', 'mco', 'ping').output }) do
      names(at_hub('alice', 'mco', 'ping', '--names', '--expect', '4')) == left
    end
    @hosts['c2.example.net'].boot
    Wait.for('the broker to be back', -> { at_hub('alice', 'mco', 'ping').output }) do
      names(at_hub('alice', 'mco', 'ping', '--names', '--expect', '5')) == [*brokers, *nodes].sort
    end
  end
end
