# frozen_string_literal: true

RSpec.describe 'mcollective' do
  site = { 'client' => true, 'site_policies' => [{ 'action' => 'allow', 'callers' => 'choria=a' }],
           'policy_default' => 'deny', 'plugin_classes' => ['mcollective_agent_shell'],
           'client_config' => { 'loglevel' => 'debug' }, 'facts_refresh_type' => 'none' }

  libdir = '/opt/puppetlabs/mcollective/plugins/mcollective'

  shared_examples 'the class that manages plugins' do
    it 'does so by its own parameters' do
      is_expected.to compile.with_all_deps
      is_expected.to contain_file("#{libdir}/application/shell.rb")
      is_expected.to contain_file("#{libdir}/agent/shell.rb").that_notifies('Class[choria::service]')
      expect(catalogue.resource('file', "#{libdir}/agent/shell.rb")[:source]).to eq(
        'puppet:///modules/mcollective_agent_shell/mcollective/agent/shell.rb'
      )
      expect(catalogue.resource('file', "#{libdir}/agent/shell.rb")).to be_tagged('mcollective_agent_shell_server')
      is_expected.not_to contain_class('mcollective_agent_puppet')
      expect(content_of('/etc/choria/policies/shell.policy')).to include("allow\tchoria=a\t*\t*\t*\n")
      expect(content_of('/etc/choria/policies/rpcutil.policy')).to include("allow\tchoria=a\t*\t*\t*\n")
      expect(content_of('/etc/choria/client.conf')).to include("loglevel = debug\n")
      expect(catalogue.resources.map(&:ref)).not_to include(/refresh_facts/)
    end
  end

  context 'when the class choria leaves plugins to it' do
    let(:params) { site }
    let(:pre_condition) { "class { 'choria': manage_mcollective => false }" }

    it_behaves_like 'the class that manages plugins'
  end

  context 'when the class choria comes after it' do
    let(:params) { site }
    let(:post_condition) { "class { 'choria': manage_mcollective => false }" }

    it_behaves_like 'the class that manages plugins'
  end

  context 'when it is declared without the class choria' do
    let(:params) { site }

    it_behaves_like 'the class that manages plugins'
  end

  context 'when it is just included' do
    let(:post_condition) { 'include choria' }

    it 'does what the class choria does' do
      is_expected.to compile.with_all_deps
      is_expected.to contain_class('mcollective_agent_puppet')
      is_expected.to contain_service('choria-server')
      is_expected.to contain_file('/etc/choria/client.conf')
    end
  end

  context 'when something notifies its service' do
    let(:pre_condition) { "file { '/etc/x': } ~> Class['mcollective::service']\ninclude mcollective::service" }

    it { is_expected.to contain_class('mcollective::service').that_notifies('Class[choria::service]') }
  end
end
