# frozen_string_literal: true

require_relative '../support/brokers'

RSpec.describe 'choria::broker' do
  let(:node) { 'broker1.example.com' }

  Brokers::ALL.each do |name, parameters|
    context "when it is #{name}" do
      let(:params) { parameters }

      it 'has the expected text' do
        expect(content_of('/etc/choria/broker.conf')).to eq(File.read(Brokers.expected(name)))
      end

      it { is_expected.to compile.with_all_deps }
      it { is_expected.to contain_file('/etc/choria/broker.conf').with_mode('0640').with_owner('root') }
    end
  end

  it { is_expected.to contain_class('choria') }
  it { is_expected.to contain_class('choria::broker::config').that_requires('Class[choria::install]') }
  it { is_expected.to contain_class('choria::broker::config').that_notifies('Class[choria::broker::service]') }
  it { is_expected.to contain_class('choria::install').that_notifies('Class[choria::broker::service]') }
  it { is_expected.to contain_service('choria-broker').with_ensure('running').with_enable(true) }

  context 'with settings for all daemons' do
    let(:pre_condition) { 'class { "choria": shared_config => { use_srv => false } }' }

    it {
      is_expected.to contain_file('/etc/choria/plugin.d/choria.cfg').that_notifies('Class[choria::broker::service]')
    }
    it { is_expected.to contain_file('/etc/choria/plugin.d/choria.cfg').that_notifies('Class[choria::service]') }
    it { is_expected.not_to contain_file('/etc/choria/server.conf').that_notifies('Class[choria::broker::service]') }
  end

  context 'with a password' do
    let(:params) { { 'peer_user' => 'peer', 'peer_password' => 'p4ssw0rd' } }

    it 'keeps the text out of logs, reports and differences' do
      expect(catalogue.resource('file', '/etc/choria/broker.conf').sensitive_parameters).to eq([:content])
    end
  end

  context 'with a password that is Sensitive' do
    let(:params) { { 'system_user' => 'system', 'system_password' => sensitive('s3cr3t') } }

    it { is_expected.to contain_file('/etc/choria/broker.conf').with_content(sensitive(/system\.password = s3cr3t$/)) }
  end

  context 'with streams outside the directory that the unit may write to' do
    let(:params) do
      { 'stream_store' => '/srv/streams',
        'limits' => { 'nofile' => 65_536, 'environment' => { 'B' => '2', 'A' => '50%' } } }
    end
    let(:unit) { '/etc/systemd/system/choria-broker.service.d' }

    it { is_expected.to contain_file('/srv/streams').with_ensure('directory').with_mode('0750') }

    it 'lets the unit write there' do
      expect(content_of("#{unit}/50-puppet.conf")).to eq(<<~TEXT)
        # Managed by Puppet: changes made here are lost
        [Service]
        LimitNOFILE=65536
        Environment="A=50%%"
        Environment="B=2"
        ReadWritePaths=/srv/streams
      TEXT
    end

    it 'reloads systemd itself, before the service' do
      expect(catalogue).to contain_file("#{unit}/50-puppet.conf")
        .that_notifies('Exec[systemctl daemon-reload for choria-broker]')
      expect(catalogue).to contain_exec('systemctl daemon-reload for choria-broker')
        .with_refreshonly(true).that_notifies('Service[choria-broker]')
    end
  end

  context 'with a data adapter that keeps what waits in a directory of its own' do
    let(:params) { Brokers::ALL['adapter_others'] }

    it { is_expected.to contain_file('/srv/spill').with_ensure('directory').with_mode('0750') }

    it 'lets the unit write there' do
      expect(content_of('/etc/systemd/system/choria-broker.service.d/50-puppet.conf'))
        .to end_with("\nReadWritePaths=/srv/spill\n")
    end
  end

  context 'with streams where the unit may write' do
    let(:params) { { 'stream_store' => '/var/lib/choria/streams' } }

    it {
      is_expected.to contain_file('/etc/systemd/system/choria-broker.service.d/50-puppet.conf').with_ensure('absent')
    }
  end

  context 'when services are not managed' do
    let(:params) { { 'manage_service' => false } }

    it { is_expected.to compile.with_all_deps }
    it { is_expected.not_to contain_service('choria-broker') }
    it { is_expected.to contain_service('choria-server') }
  end

  context 'when everything is to be absent' do
    let(:pre_condition) { 'class { "choria": ensure => absent }' }
    let(:params) { { 'stream_store' => '/srv/streams' } }

    it { is_expected.to compile.with_all_deps }
    it { is_expected.to contain_service('choria-broker').with_ensure('stopped').with_enable(false) }
    it { is_expected.to contain_class('choria::broker::service').that_comes_before('Class[choria::install]') }
    it {
      is_expected.to contain_file('/etc/choria/broker.conf').with_ensure('absent')
                                                            .that_requires('Class[choria::install]')
    }
    it { is_expected.not_to contain_file('/srv/streams') }
  end
end
