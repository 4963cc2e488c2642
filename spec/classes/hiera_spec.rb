# frozen_string_literal: true

require_relative '../support/warnings'

# Data as sites have it, most of it written for the modules before this one.
RSpec.describe 'choria' do
  let(:node) { 'c1.example.net' }
  let(:hiera_config) { "#{ROOT}/spec/hiera/field.yaml" }
  let(:post_condition) { 'include choria::broker' }

  it 'works' do
    is_expected.to compile.with_all_deps
    is_expected.to contain_package('choria').with_ensure('latest')
    is_expected.to contain_class('mcollective_agent_shell')
    is_expected.to contain_class('mcollective_agent_puppet')
  end

  it 'gives the server what is for it' do
    expect(content_of('/etc/choria/server.conf').lines(chomp: true)).to include(
      'plugin.choria.middleware_hosts = choria1.example.net:4222,choria2.example.net:4222',
      'plugin.choria.use_srv = false', 'registration = file_content', 'registerinterval = 60',
      'plugin.choria.security.certname_whitelist = bob, /\.mcollective$/',
      'plugin.rpcaudit.logfile = /var/log/mcollective-audit.log', 'plugin.choria.srv_domain = prod.example.net'
    )
    expect(content_of('/etc/choria/server.conf')).not_to include('daemonize')
  end

  it 'lets new keys win over old ones, key by key' do
    expect(content_of('/etc/choria/client.conf').lines(chomp: true)).to include(
      'plugin.choria.federation.collectives = tokyo, london', 'default_discovery_method = mc'
    )
    expect(content_of('/etc/choria/policies/rpcutil.policy')).to start_with('policy default deny')
    expect(warnings).to include(/both choria::policy_default and mcollective::policy_default/)
  end

  it 'has the settings of plugins' do
    expect(content_of('/etc/choria/plugin.d/choria.cfg').lines.drop(1).join)
      .to eq("puppetdb_host = pdb1.example.net\npuppetdb_port = 8082\nuse_srv = false\n")
    expect(content_of('/etc/choria/plugin.d/puppet.cfg').lines.drop(1).join)
      .to eq("signal_daemon = true\nsplay = false\n")
  end

  it 'has the policies of the site, after those of the agent' do
    expect(content_of('/etc/choria/policies/puppet.policy').lines(chomp: true)).to eq(
      ['policy default deny', '# of the agent puppet', "allow\t*\tlast_run_summary status\t*\t*", '# of the site',
       "allow\tchoria=rip.mcollective\t*\t*\t*"]
    )
  end

  it 'writes no facts' do
    expect(catalogue.resources.map(&:ref).grep(/facts/i) - ['Class[Choria::Facts]']).to be_empty
  end

  it 'has the broker' do
    expect(content_of('/etc/choria/broker.conf')).to eq(File.read("#{ROOT}/spec/expected/broker/field.conf"))
  end
end
