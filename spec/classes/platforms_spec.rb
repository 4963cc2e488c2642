# frozen_string_literal: true

RSpec.describe 'choria' do
  agent = { aio_agent_version: '7.23.0', puppet_vardir: '/opt/puppetlabs/puppet/cache' }

  {
    'Linux with the all-in-one agent' => [
      SYSTEMS.fetch('debian-12').merge(agent),
      '/etc/choria', '/opt/puppetlabs/mcollective/plugins', '/opt/puppetlabs/puppet/bin/ruby',
      '/opt/puppetlabs/puppet/cache/state/classes.txt', nil, '/var/log', 'root'
    ],
    'Debian with its own Puppet' => [
      SYSTEMS.fetch('debian-12').reject { |name| name == :aio_agent_version }.merge(puppet_vardir: '/var/cache/puppet'),
      '/etc/choria', '/opt/puppetlabs/mcollective/plugins', '/usr/bin/ruby',
      '/var/cache/puppet/state/classes.txt', '/var/lib/puppet/ssl', '/var/log', 'root'
    ],
    'Arch' => [
      SYSTEMS.fetch('archlinux').reject { |name| name == :aio_agent_version }.merge(puppet_vardir: '/var/lib/puppet'),
      '/etc/choria', '/etc/puppetlabs/mcollective/plugins', '/usr/bin/ruby',
      '/var/lib/puppet/state/classes.txt', nil, '/var/log', 'root'
    ],
    'FreeBSD' => [
      SYSTEMS.fetch('freebsd-13'),
      '/usr/local/etc/choria', '/usr/local/share/choria/plugins', '/usr/local/bin/ruby',
      '/var/puppet/state/classes.txt', '/var/puppet/ssl', '/var/log', 'wheel'
    ],
    'Windows' => [
      SYSTEMS.fetch('windows-2022'),
      'C:/ProgramData/choria/etc', 'C:/ProgramData/choria/lib/plugins',
      'C:/Program Files/Puppet Labs/Puppet/puppet/bin/ruby.exe',
      'C:/ProgramData/PuppetLabs/puppet/cache/state/classes.txt', 'C:/ProgramData/PuppetLabs/puppet/etc/ssl',
      'C:/ProgramData/choria/var/log', nil
    ]
  }.each do |what, (system, etc, libdir, ruby, classes, ssldir, logs, group)|
    context "on #{what}" do
      let(:facts) { system }
      let(:post_condition) { 'include choria::broker' }

      it 'has everything where it belongs' do
        settings = content_of("#{etc}/server.conf").lines(chomp: true)

        expect(settings).to include(
          "classesfile = #{classes}", "plugin.choria.agent_provider.mcorpc.libdir = #{libdir}",
          "plugin.choria.ruby.command = #{ruby}",
          "logfile = #{logs}/choria.log", "plugin.yaml = #{etc}/generated-facts.yaml"
        )
        expect(settings.grep(/ssldir/)).to eq([ssldir && "plugin.choria.ssldir = #{ssldir}"].compact)
        is_expected.to contain_file("#{etc}/broker.conf").with_group(group)
        is_expected.to contain_file("#{etc}/client.conf")
        is_expected.to contain_file("#{libdir}/mcollective/agent").with_ensure('directory')
        is_expected.to contain_exec('choria: write the facts for the first time')
          .with_command(/\A"#{ruby}"/).with_creates("#{etc}/generated-facts.yaml")
      end
    end
  end

  context 'on Windows' do
    let(:facts) { SYSTEMS.fetch('windows-2022') }

    it 'manages neither package nor service, which its installer does' do
      is_expected.not_to contain_package('Choria Orchestrator')
      is_expected.not_to contain_service('choria-server')
      is_expected.to contain_class('choria::service')
      is_expected.to contain_scheduled_task('choria facts')
    end
  end

  context 'on Arch' do
    let(:facts) { SYSTEMS.fetch('archlinux') }

    it { is_expected.to contain_package('choria-io') }
  end
end
