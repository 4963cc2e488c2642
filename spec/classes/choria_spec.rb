# frozen_string_literal: true

RSpec.describe 'choria' do
  let(:node) { 'node1.example.com' }

  SYSTEMS.each do |name, system|
    context "with a broker on #{name}" do
      let(:facts) { system }
      let(:post_condition) { 'include choria::broker' }

      it { is_expected.to compile.with_all_deps }
    end
  end

  it 'installs, configures, then starts' do
    is_expected.to contain_package('choria').with_ensure('present').that_notifies('Class[choria::service]')
    is_expected.to contain_class('choria::install').that_comes_before('Class[choria::config]')
    is_expected.to contain_class('choria::config').that_comes_before('Class[choria::service]')
    is_expected.to contain_class('choria::plugins').that_requires('Class[choria::config]')
    is_expected.to contain_service('choria-server').with_ensure('running').with_enable(true)
    is_expected.not_to contain_class('choria::service_disable')
    is_expected.not_to contain_class('choria::repo')
  end

  it 'writes a configuration that denies what nothing allows' do
    expect(content_of('/etc/choria/server.conf')).to eq(File.read("#{ROOT}/spec/expected/server.conf"))
    expect(content_of('/etc/choria/client.conf')).to eq(<<~TEXT)
      # Managed by Puppet: changes made here are lost
      collectives = mcollective
      connection_timeout = 3
      libdir = /opt/puppetlabs/mcollective/plugins
      loglevel = warn
      main_collective = mcollective
    TEXT
    is_expected.to contain_file('/etc/choria/server.conf').with_mode('0640').that_notifies('Class[choria::service]')
    is_expected.to contain_file('/etc/choria/client.conf').with_mode('0644')
    is_expected.not_to contain_file('/etc/choria/client.conf').that_notifies('Class[choria::service]')
  end

  it 'opens read-only actions, nothing else' do
    { 'rpcutil' => 'ping', 'choria_util' => 'info', 'scout' => 'checks', 'package' => 'status count md5',
      'puppet' => 'last_run_summary status', 'service' => 'status' }.each do |agent, actions|
      expect(content_of("/etc/choria/policies/#{agent}.policy")).to eq(<<~TEXT)
        policy default deny
        # of the agent #{agent}
        allow\t*\t#{actions}\t*\t*
        # of the site
      TEXT
    end
    expect(content_of('/etc/choria/policies/filemgr.policy')).not_to include('allow')
    is_expected.to contain_file('/etc/choria/policies/rego/default.rego')
  end

  it 'lets what is said for every agent hold for those that have no policy of their own' do
    expect(content_of('/etc/choria/policies/default.policy'))
      .to eq("policy default deny\n# of the agent default\n# of the site\n")
    expect(content_of('/etc/choria/server.conf')).to include("plugin.actionpolicy.enable_default = true\n")
  end

  it 'lets a policy be replaced without a restart' do
    notified = catalogue.resources.select do |resource|
      resource.type == 'File' && resource.title.start_with?('/etc/choria/policies') && resource[:notify]
    end
    expect(notified).to be_empty
  end

  it 'purges the directories it fills' do
    ['/etc/choria/plugin.d', '/etc/choria/policies', '/opt/puppetlabs/mcollective/plugins/mcollective'].each do |path|
      is_expected.to contain_file(path).with_purge(true).with_recurse(true)
    end
  end

  it 'marks nodes with the agents they have, for discovery by PuppetDB' do
    %w[puppet package service filemgr].each do |agent|
      expect(catalogue.resource('file', "/etc/choria/policies/#{agent}.policy"))
        .to be_tagged("mcollective_agent_#{agent}_server")
    end
  end

  context 'without a server' do
    let(:params) { { 'server' => false, 'client' => true } }

    it 'stops it and has no policies' do
      is_expected.to compile.with_all_deps
      is_expected.to contain_class('choria::service_disable')
      is_expected.to contain_service('choria-server').with_ensure('stopped').with_enable(false)
      is_expected.not_to contain_class('choria::service')
      is_expected.to contain_package('choria')
      is_expected.to contain_file('/etc/choria/client.conf')
      is_expected.not_to contain_file('/etc/choria/server.conf')
      expect(catalogue.resources.map(&:ref).grep(/policies|refresh_facts/)).to be_empty
    end
  end

  context 'when services are not managed' do
    let(:params) { { 'manage_service' => false, 'server_limits' => { 'nofile' => 10 } } }

    it 'is a server all the same' do
      is_expected.to contain_class('choria::service')
      is_expected.not_to contain_service('choria-server')
      expect(catalogue.resources.map(&:ref).grep(/service\.d/)).to be_empty
    end
  end

  context 'with settings' do
    let(:params) do
      {
        'collectives' => %w[mcollective uk], 'log_level' => 'debug', 'server_logfile' => 'stderr',
        'status_write_interval' => 0,
        'common_config' => { 'plugin.a.x' => 1, 'plugin.a.y' => 1 }, 'client_config' => { 'plugin.a.y' => 2 },
        'server_config' => { 'plugin.a.y' => 3, 'rpcaudit' => 0, 'registration' => ['file_content'], 'ttl' => :undef },
        'ssldir' => '/srv/ssl', 'server_provisioning_token' => 't0k3n'
      }
    end

    it 'lets those for one of both win' do
      expect(content_of('/etc/choria/server.conf').lines(chomp: true)).to include(
        'collectives = mcollective, uk', 'main_collective = uk', 'loglevel = debug', 'logfile = stderr',
        'plugin.a.x = 1', 'plugin.a.y = 3', 'rpcaudit = 0', 'registration = file_content',
        'plugin.choria.ssldir = /srv/ssl'
      )
      expect(content_of('/etc/choria/server.conf').lines).to not_include_keys('ttl', 'plugin.choria.status_file_path')
      expect(content_of('/etc/choria/client.conf').lines(chomp: true)).to include(
        'plugin.a.x = 1', 'plugin.a.y = 2', 'plugin.choria.ssldir = /srv/ssl', 'main_collective = uk'
      )
    end

    it 'keeps the token to itself' do
      is_expected.to contain_file('/etc/choria/provisioning.jwt').with_mode('0600').with_content(sensitive('t0k3n'))
    end

    it 'gives agents written in Ruby one collective and no audit' do
      expect(content_of('/etc/choria/choria-shim.cfg').lines(chomp: true))
        .to include('collectives = uk', 'rpcaudit = 0', 'rpcauthorization = 0', 'plugin.a.y = 3')
        .and not_include_keys('registration', 'registerinterval', 'plugin.rpcaudit.logfile')
    end
  end

  context 'with plugins, policies and groups' do
    let(:params) do
      {
        'policies' => { 'backup' => { 'policies' => [{ 'action' => 'allow', 'callers' => ['a=1', 'b'] }] } },
        'groups' => { 'ops' => ['choria=a.mcollective', 'choria=b.mcollective'] },
        'site_policies' => [{ 'action' => 'deny', 'facts' => 'country=uk' }],
        'shared_config' => { 'use_srv' => false, 'middleware_hosts' => ['a:4222', 'b:4222'] },
        'plugins' => { 'mcollective_agent_disk' => { 'config_name' => 'disk', 'config' => { 'path' => '/srv' } } }
      }
    end

    it 'writes them' do
      expect(content_of('/etc/choria/policies/backup.policy').lines(chomp: true))
        .to include("allow\ta=1 b\t*\t*\t*", "deny\t*\t*\tcountry=uk\t*")
      is_expected.to contain_concat__fragment('choria group ops')
        .with_content("ops choria=a.mcollective choria=b.mcollective\n")
      expect(content_of('/etc/choria/plugin.d/choria.cfg'))
        .to end_with("middleware_hosts = a:4222, b:4222\nuse_srv = false\n")
      expect(content_of('/etc/choria/plugin.d/disk.cfg')).to end_with("path = /srv\n")
    end
  end

  context 'when provisioned from elsewhere' do
    let(:params) { { 'manage_server_config' => false } }

    it { is_expected.not_to contain_file('/etc/choria/server.conf') }
    it { is_expected.to contain_service('choria-server') }
  end

  context 'with limits' do
    let(:params) { { 'server_limits' => { 'memory_max' => '64M', 'cpu_quota' => '50%', 'tasks_max' => 100 } } }
    let(:file) { '/etc/systemd/system/choria-server.service.d/50-puppet.conf' }

    it 'puts them into a drop-in' do
      expect(content_of(file)).to end_with("[Service]\nMemoryMax=64M\nCPUQuota=50%\nTasksMax=100\n")
      is_expected.to contain_file(file).that_notifies('Exec[systemctl daemon-reload for choria-server]')
    end
  end

  context 'when everything is to be absent' do
    let(:params) { { 'ensure' => 'absent', 'manage_package_repo' => true } }

    it 'stops, then removes the package, the files and last the repository' do
      is_expected.to compile.with_all_deps
      is_expected.to contain_service('choria-server').with_ensure('stopped').that_comes_before('Package[choria]')
      is_expected.to contain_package('choria').with_ensure('absent').that_comes_before('Class[choria::config]')
      is_expected.to contain_class('choria::config').that_comes_before('Class[choria::repo]')
      is_expected.to contain_apt__source('choria_release').with_ensure('absent')
    end

    it 'leaves no file that it made' do
      made = catalogue.resources.select do |resource|
        resource.type == 'File' && resource.title.match?(/choria|plugins/)
      end
      expect(made.reject { |resource| resource[:ensure].to_s == 'absent' }.map(&:title)
                 .reject { |title| title.start_with?('/etc/apt') }).to be_empty
      expect(made.map(&:title)).to include(
        '/etc/choria/server.conf', '/etc/choria/client.conf', '/etc/choria/plugin.d', '/etc/choria/policies',
        '/etc/choria/choria-shim.cfg', '/etc/choria/generated-facts.yaml', '/etc/systemd/system/choria-facts.timer',
        '/etc/systemd/system/choria-server.service.d/50-puppet.conf'
      )
      expect(made.map(&:title).grep(%r{/var/log})).to be_empty
    end
  end
end

# No line of the text sets one of these keys.
RSpec::Matchers.define :not_include_keys do |*keys|
  match { |lines| keys.none? { |key| lines.any? { |line| line.start_with?("#{key} =") } } }
end
