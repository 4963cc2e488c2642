# frozen_string_literal: true

RSpec.describe 'choria::plugin' do
  let(:title) { 'mcollective_agent_backup' }
  let(:pre_condition) { "class { 'choria': #{roles} }" }
  let(:roles) { 'client => true' }
  let(:libdir) { '/opt/puppetlabs/mcollective/plugins/mcollective' }
  let(:params) do
    {
      'config_name' => 'backup', 'source_module' => 'site',
      'common_files' => ['agent/backup.json'], 'client_files' => ['application/backup.rb'],
      'server_files' => ['agent/backup.rb', 'agent/disk'], 'executable_files' => ['agent/disk'],
      'server_directories' => ['agent', 'util/backup'],
      'config' => { 'a' => 1, 'b' => 1, 'c' => 1 }, 'client_config' => { 'b' => 2, 'c' => 2 },
      'server_config' => { 'c' => 3 },
      'gem_dependencies' => { 'thor' => '1.0' }, 'package_dependencies' => { 'rsync' => 'present' },
      'policies' => [{ 'action' => 'allow', 'actions' => %w[status list] }], 'rego_policy_source' => '/srv/a.rego'
    }
  end

  it 'installs what is needed, then the files' do
    is_expected.to compile.with_all_deps
    is_expected.to contain_package('thor').with_provider('puppet_gem').with_ensure('1.0')
    is_expected.to contain_file("#{libdir}/agent/backup.rb").with(
      'source' => 'puppet:///modules/site/mcollective/agent/backup.rb', 'mode' => '0644', 'owner' => 'root'
    ).that_requires(['Package[thor]', 'Package[rsync]']).that_notifies('Class[choria::service]')
    is_expected.to contain_file("#{libdir}/agent/disk").with_mode('0755')
    is_expected.to contain_file("#{libdir}/util/backup").with_ensure('directory')
  end

  it 'lets the settings of the role win' do
    expect(content_of('/etc/choria/plugin.d/backup.cfg').lines.drop(1).join).to eq("a = 1\nb = 2\nc = 3\n")
  end

  it 'has a policy' do
    expect(content_of('/etc/choria/policies/backup.policy')).to include("allow\t*\tstatus list\t*\t*\n")
    is_expected.to contain_file('/etc/choria/policies/rego/backup.rego').with_source('/srv/a.rego')
  end

  it 'marks the node with the agents it has' do
    tags = ["#{libdir}/agent/backup.rb", "#{libdir}/agent/disk", "#{libdir}/agent/backup.json"].map do |path|
      catalogue.resource('file', path).tags.grep(/_server\z/)
    end
    expect(tags).to eq([['mcollective_agent_backup_server'], ['mcollective_agent_disk_server'], []])
  end

  context 'on a machine without a server' do
    let(:roles) { 'client => true, server => false' }

    it 'has the client parts' do
      is_expected.to contain_file("#{libdir}/application/backup.rb")
      is_expected.to contain_file("#{libdir}/agent/backup.json")
      is_expected.not_to contain_file("#{libdir}/agent/backup.rb")
      is_expected.not_to contain_file('/etc/choria/policies/backup.policy')
      expect(content_of('/etc/choria/plugin.d/backup.cfg').lines.drop(1).join).to eq("a = 1\nb = 2\nc = 2\n")
    end
  end

  context 'on a machine with neither' do
    let(:roles) { 'client => false, server => false' }

    it { expect(catalogue.resources.map(&:ref).grep(/backup/)).to eq(['Choria::Plugin[mcollective_agent_backup]']) }
  end

  context 'when it is to be absent' do
    let(:params) { super().merge('ensure' => 'absent') }

    it 'removes files, settings and policy' do
      paths = ["#{libdir}/agent/backup.rb", "#{libdir}/application/backup.rb", '/etc/choria/plugin.d/backup.cfg',
               '/etc/choria/policies/backup.policy', '/etc/choria/policies/rego/backup.rego']
      paths.each { |path| is_expected.to contain_file(path).with_ensure('absent') }
      is_expected.to contain_file("#{libdir}/agent/backup.rb").that_notifies('Class[choria::service]')
      is_expected.not_to contain_package('thor')
    end
  end
end
