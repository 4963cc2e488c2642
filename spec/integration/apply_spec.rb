# frozen_string_literal: true

require 'etc'
require 'open3'

# Puppet runs on this machine, everything below a directory of their own. There is neither a package nor a
# service in them: those take a machine that can be spoilt.
RSpec.describe 'puppet apply' do
  before(:context) do
    @root = Dir.mktmpdir('apply')
    # All modules but apt, whose facts take seconds.
    Dir.mkdir("#{@root}/modules")
    (Dir.children(MODULES) - ['apt']).each { |name| File.symlink("#{MODULES}/#{name}", "#{@root}/modules/#{name}") }
  end

  after(:context) { FileUtils.remove_entry(@root) }

  let(:etc) { "#{@root}/etc" }
  let(:plugins) { "#{@root}/lib/plugins/mcollective" }
  let(:settings) { {} }

  def manifest(ensured, settings)
    <<~PUPPET
      class { 'choria':
        ensure                         => #{ensured},
        client                         => true,
        manage_package                 => false,
        manage_service                 => false,
        config_user                    => '#{Etc.getpwuid.name}',
        config_group                   => '#{Etc.getgrgid.name}',
        plugin_owner                   => '#{Etc.getpwuid.name}',
        plugin_group                   => '#{Etc.getgrgid.name}',
        rubypath                       => '#{RbConfig.ruby}',
        server_config_file             => '#{@root}/etc/server.conf',
        broker_config_file             => '#{@root}/etc/broker.conf',
        client_config_file             => '#{@root}/etc/client.conf',
        server_provisioning_token_file => '#{@root}/etc/provisioning.jwt',
        server_provisioning_token      => 't0k3n',
        libdir                         => '#{@root}/lib/plugins',
        required_directories           => ['#{@root}/lib'],
        facts_refresh_type             => none,
        groups                         => { 'ops' => ['choria=a.mcollective'], 'all' => ['choria=b.mcollective'] },
        shared_config                  => { 'middleware_hosts' => 'localhost:4222' },
        log_level                      => '#{settings.fetch('log_level', 'warn')}',
      }
      class { 'choria::broker':
        peer_user     => 'peer',
        peer_password => 's3cr3tpassw0rd',
        network_peers => ['nats://localhost:5222'],
      }
    PUPPET
  end

  # The exit status of a run, and what it said.
  def apply(ensured: 'present', settings: {})
    output, status = Open3.capture2e(
      'puppet', 'apply', '--detailed-exitcodes', '--color=false', '--show_diff', '--modulepath', "#{@root}/modules",
      '--basemodulepath', "#{@root}/none", '--confdir', "#{@root}/conf", '--vardir', "#{@root}/var",
      '--execute', manifest(ensured, settings)
    )
    [status.exitstatus, output]
  end

  def changes(output)
    output.scan(%r{^Notice: .*/(?:File|Concat_file|Service|Exec|Package)\[([^\]]+)\]/\S+:}).flatten.uniq
  end

  it 'converges, repairs, changes only what changed, and removes everything' do
    status, output = apply
    expect(status).to eq(2), output
    expect(output).not_to include('s3cr3tpassw0rd')
    expect(output).not_to include('t0k3n')
    expect(File.read("#{etc}/broker.conf")).to include('peer_password = s3cr3tpassw0rd')
    expect(File.stat("#{etc}/broker.conf").mode & 0o777).to eq(0o640)
    expect(File.stat("#{etc}/provisioning.jwt").mode & 0o777).to eq(0o600)
    expect(File.readlines("#{etc}/policies/groups", chomp: true).drop(1))
      .to eq(['all choria=b.mcollective', 'ops choria=a.mcollective'])
    expect(File).to exist("#{plugins}/agent")

    status, output = apply
    expect(status).to eq(0), output

    # What somebody else left is removed, what is managed stays.
    foreign = ["#{etc}/plugin.d/x.cfg", "#{etc}/policies/x.policy", "#{plugins}/agent/x.rb"]
    foreign.each { |path| File.write(path, 'x') }
    status, output = apply(settings: { 'log_level' => 'debug' })
    expect(status).to eq(2), output
    expect(foreign.select { |path| File.exist?(path) }).to be_empty
    expect(changes(output)).to match_array(
      [*foreign, "#{etc}/server.conf", "#{etc}/choria-shim.cfg", "#{etc}/broker.conf"]
    )

    status, output = apply(ensured: 'absent')
    expect(status).to eq(2), output
    expect(Dir.glob("#{etc}/*") + Dir.glob("#{plugins}/**/*")).to be_empty

    status, output = apply(ensured: 'absent')
    expect(status).to eq(0), output
  end
end
