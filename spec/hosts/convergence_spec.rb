# frozen_string_literal: true

# One machine from nothing but Puppet and the address of a repository to a network of its own, through every
# kind of change, and back to nothing. The examples of a release follow upon one another.
Made.releases.each do |release|
  RSpec.describe "a host with #{release}", order: :defined do
    node = 'node1.example.net'
    both = %w[choria-broker choria-server]

    before(:context) do
      @network = Network.new(Made.path(release), node)
      @host = @network.host(node, **Made.host(release))
      @network.authority.enrol(@host, 'alice.mcollective')
      @repository = Made.repository(release)
      @network.serve(@repository)
      # The same key, in another file that is older than any on the host.
      older = File.join(@repository, 'older.asc')
      File.write(older, "the key\n#{File.read(File.join(@repository, 'release.asc'))}")
      File.utime(0, 1_000_000_000, older)
      # Data of the node; examples change it as the people of a site do.
      @data = {
        'classes' => %w[choria choria::broker],
        'choria::manage_package_repo' => true,
        'choria::repo_baseurl' => "http://#{Network::SERVER}",
        'choria::client' => true,
        'choria::policy_default' => 'deny',
        'choria::shared_config' => { 'middleware_hosts' => "#{node}:4222", 'use_srv' => false }
      }
    end

    after(:context) do
      @host&.halt
      @network&.serve(nil)
    end

    # A run of Puppet with these changes of the data. The services that run another process after it are those
    # that were restarted.
    def change(changes = {})
      @data.merge!(changes) { |_, old, new| old.is_a?(Hash) && new.is_a?(Hash) ? old.merge(new) : new }
      before = processes
      run = @host.puppet(@data)
      expect(run).to be_ok, run.output
      [run, %w[choria-broker choria-server].reject { |service| processes[service] == before[service] }]
    end

    def processes
      %w[choria-broker choria-server].to_h { |service| [service, @host.process(service)] }
    end

    def mco(*arguments)
      @host.run('mco', *arguments, env: { 'MCOLLECTIVE_CERTNAME' => 'alice.mcollective' })
    end

    # Who answers a ping, as soon as somebody does.
    def answers
      Wait.for('an answer to a ping', -> { @host.run('cat', '/var/log/choria.log').output }) do
        found = mco('ping', '--names', '--timeout', '5').output.split
        found unless found.empty?
      end
    end

    it 'has nothing to remove where nothing ever was' do
      run = @host.puppet(@data.merge('choria::ensure' => 'absent'))
      expect(run).to be_ok, run.output
      expect(@host.puppet(@data.merge('choria::ensure' => 'absent')).status).to eq(0)
    end

    it 'takes nothing from a repository that somebody else has signed', :reduced do
      Made.copy('foreign/release.asc', File.join(@repository, 'foreign.asc'))
      run = @host.puppet(@data.merge('choria::repo_gpgkey' => "http://#{Network::SERVER}/foreign.asc"))

      expect(run).not_to be_ok, run.output
      expect(run.output).to match(/NO_PUBKEY|not signed|sqv/)
      expect(run.skipped).to include('Package[choria]', 'Service[choria-server]', 'Service[choria-broker]')
      expect(run.skipped).to include('File[/etc/choria/server.conf]', 'File[/etc/choria/broker.conf]')
      expect(@host).not_to exist('/usr/bin/choria-server')
    end

    it 'fails while the repository is away' do
      @network.serve(nil)
      run = @host.puppet(@data.merge('choria::repo_gpgkey_content' => File.read(Made.path('www/release.asc'))))
      @network.serve(@repository)
      expect(run.failed).to eq(['Package[choria]'])
    end

    it 'comes to a running network when the repository is back', :reduced do
      run, = change('choria::repo_gpgkey_content' => File.read(Made.path('www/release.asc')))
      expect(run.failed).to be_empty
      expect(run.changed).to include('Package[choria]', 'Service[choria-server]', 'Service[choria-broker]')
      expect(answers).to eq([node])
      both.each { |service| expect(@host).to be_enabled(service) }
    end

    it 'changes nothing the second time', :reduced do
      run, restarted = change
      expect(run.status).to eq(0), run.output
      expect(restarted).to be_empty
    end

    # What is changed in the data, and what has to be restarted because of it.
    changes = {
      'broker.conf' => [{ 'choria::broker::tls_timeout' => 7 }, ['choria-broker']],
      'the certificate that the broker copies' => [
        { 'choria::broker::provisioner_password' => 's3cret',
          'choria::broker::provisioning_signer_source' => '/root/signer.pem' },
        ['choria-broker']
      ],
      'the limits of the broker' => [{ 'choria::broker::limits' => { 'nofile' => 12_345 } }, ['choria-broker']],
      'server.conf' => [{ 'choria::server_config' => { 'registerinterval' => 3000 } }, ['choria-server']],
      'the token of provisioning' => [{ 'choria::server_provisioning_token' => 't0ken' }, ['choria-server']],
      'the limits of the server' => [{ 'choria::server_limits' => { 'nofile' => 23_456 } }, ['choria-server']],
      'a plugin that comes' => [
        { 'choria::plugin_classes' => ['mcollective_agent_greeting'],
          'mcollective_agent_greeting::policies' => [{ 'action' => 'allow',
                                                       'callers' => 'choria=alice.mcollective' }] },
        ['choria-server']
      ],
      'the settings of a plugin' => [
        { 'mcollective_agent_greeting::config' => { 'word' => 'bonjour' } }, ['choria-server']
      ],
      'what all programs read' => [{ 'choria::shared_config' => { 'puppetdb_host' => 'pdb.example.net' } }, both],
      'policies' => [
        { 'choria::policies' => { 'shell' => { 'policies' => [{ 'action' => 'allow', 'callers' => 'people' }] } } }, []
      ],
      'groups' => [{ 'choria::groups' => { 'people' => ['choria=alice.mcollective'] } }, []],
      'the policy in Rego' => [{ 'choria::default_rego_policy_source' => '/root/site.rego' }, []],
      'client.conf' => [{ 'choria::client_config' => { 'connection_timeout' => 7 } }, []],
      'the schedule of facts' => [{ 'choria::facts_refresh_interval' => 20 }, []],
      'the address of the key' => [
        { 'choria::repo_gpgkey_content' => nil, 'choria::repo_gpgkey' => "http://#{Network::SERVER}/older.asc" }, []
      ],
      'the repository' => [{ 'choria::repo_apt_location' => "http://#{Network::SERVER}/./apt" }, []]
    }

    changes.each do |what, (data, services)|
      it "restarts #{services.empty? ? 'nothing' : services.join(' and ')} when #{what} changes",
         reduced: ['server.conf', 'policies'].include?(what) do
        @host.write('/root/signer.pem', 'one') unless @host.exist?('/root/signer.pem')
        @host.write('/root/site.rego', "package choria.mcorpc\n\nimport rego.v1\n\ndefault allow := false\n")
        run, restarted = change(data)

        expect(run.changed).not_to be_empty
        expect(restarted).to match_array(services), run.output
      end
    end

    it 'has all of that in force' do
      expect(@host.read('/etc/apt/keyrings/choria-release.asc')).to start_with('the key')
      expect(answers).to eq([node])
      limits = both.map { |service| @host.run!('systemctl', 'show', '-p', 'LimitNOFILE', '--value', service).strip }
      expect(limits).to eq(%w[12345 23456])
      expect(@host.read('/etc/choria/plugin.d/greeting.cfg')).to include('word = bonjour')
      expect(mco('rpc', 'greeting', 'greet', 'name=world').output).to include('bonjour world')
      expect(mco('rpc', 'shell', 'run', 'command=id -un').output).to match(/root/)
    end

    it 'removes what it does not manage from plugins, and restarts the server' do
      @host.write('/opt/puppetlabs/mcollective/plugins/mcollective/agent/foreign.rb', 'raise')
      run, restarted = change
      expect(run.files).to eq(['/opt/puppetlabs/mcollective/plugins/mcollective/agent/foreign.rb'])
      expect(restarted).to eq(['choria-server'])
    end

    it 'copies the certificate anew, and restarts the broker' do
      @host.write('/root/signer.pem', 'two')
      run, restarted = change
      expect(run.files).to eq(['/etc/choria/provisioning-signer-cert.pem'])
      expect(restarted).to eq(['choria-broker'])
    end

    it 'removes a plugin that is no longer wanted, and restarts the server' do
      run, restarted = change('choria::plugin_classes' => [])
      expect(run.changed.grep(/greeting/)).not_to be_empty
      expect(restarted).to eq(['choria-server'])
      expect(@host).not_to exist('/etc/choria/policies/greeting.policy')
    end

    it 'leaves the services alone when it is not to manage them' do
      @host.run!('systemctl', 'stop', 'choria-server')
      run, restarted = change('choria::manage_service' => false, 'choria::log_level' => 'info')
      expect(run.changed).to include('File[/etc/choria/server.conf]', 'File[/etc/choria/broker.conf]')
      expect(restarted).to be_empty
      _, restarted = change('choria::manage_service' => true)
      expect(restarted).to eq(['choria-server'])
    end

    it 'starts again with the host' do
      @host.halt
      @host.boot
      expect(answers).to eq([node])
      run, = change
      expect(run.status).to eq(0), run.output
    end

    it 'brings in a new version, and restarts what runs it' do
      Made.publish(@repository, '1.0.1')
      @host.run!('apt-get', '-qq', 'update')
      run, restarted = change('choria::version' => 'latest')
      expect(run.changed).to include('Package[choria]')
      expect(restarted).to match_array(both)
      expect(@host.run!('choria-server', 'version').strip).to eq('1.0.1')
      expect(answers).to eq([node])
      run, = change
      expect(run.status).to eq(0), run.output
    end

    it 'stops the server where there is to be none' do
      change('choria::server' => false)
      expect(processes['choria-server']).to be_nil
      expect(@host).not_to be_enabled('choria-server')
      expect(processes['choria-broker']).not_to be_nil
      run, = change
      expect(run.status).to eq(0), run.output
      change('choria::server' => true)
      expect(answers).to eq([node])
    end

    it 'goes as it came', :reduced do
      run, = change('choria::ensure' => 'absent')
      expect(run.failed).to be_empty
      expect(processes).to eq('choria-broker' => nil, 'choria-server' => nil)
      expect(@host.exist?('/etc/choria') ? @host.entries('/etc/choria') : []).to be_empty
      gone = %w[/usr/bin/choria-server /etc/apt/sources.list.d/choria_release.list /etc/apt/keyrings/choria-release.asc
                /etc/systemd/system/choria-facts.timer /etc/systemd/system/choria-server.service.d/50-puppet.conf
                /etc/systemd/system/choria-broker.service.d/50-puppet.conf]
      expect(gone.select { |path| @host.exist?(path) }).to be_empty
      expect(@host).to exist('/var/log/choria.log')

      run, = change
      expect(run.status).to eq(0), run.output
    end

    it 'can come back' do
      run, = change('choria::ensure' => 'present')
      expect(run.failed).to be_empty
      expect(answers).to eq([node])
    end
  end
end
