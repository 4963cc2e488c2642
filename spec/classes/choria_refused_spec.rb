# frozen_string_literal: true

require_relative '../support/warnings'

RSpec.describe 'choria' do
  {
    'no address of a repository' => [{ 'manage_package_repo' => true, 'repo_gpgkey_content' => 'key' },
                                     /no address is known: set repo_baseurl/],
    'no key of a repository' => [{ 'manage_package_repo' => true, 'repo_apt_location' => 'http://a/' },
                                 /no signing key is known: set repo_gpgkey/],
    'a name with a space' => [{ 'identity' => 'a b' }, /'identity' expects a match for Choria::Identity/],
    'an unknown level' => [{ 'log_level' => 'loud' }, /'log_level' expects a match for Choria::LogLevel/],
    'a policy with a tab' => [{ 'site_policies' => [{ 'action' => 'allow', 'callers' => "a\tb" }] }, /'site_policies'/],
    'a policy with a newline' => [{ 'site_policies' => [{ 'action' => 'allow', 'facts' => "a\nb" }] },
                                  /'site_policies'/],
    'a group with a space' => [{ 'groups' => { 'a b' => [] } }, /'groups'/],
    'a member with a space' => [{ 'groups' => { 'a' => ['b c'] } }, /'groups'/],
    'a setting with a newline' => [{ 'server_config' => { 'plugin.a.b' => "c\nd = e" } }, /plugin.a.b has a newline/],
    'a key with a space' => [{ 'server_config' => { 'a b' => 'c' } }, /'server_config'/],
    'a nested setting' => [{ 'server_config' => { 'a' => { 'b' => 'c' } } }, /'server_config'/],
    'a path out of the plugins' => [
      { 'plugins' => { 'x' => { 'source_module' => 'y', 'server_files' => ['agent/../../x'] } } }, /'server_files'/
    ],
    'an absolute path' => [
      { 'plugins' => { 'x' => { 'source_module' => 'y', 'common_files' => ['/etc/passwd'] } } }, /'common_files'/
    ]
  }.each do |what, (parameters, message)|
    context "with #{what}" do
      let(:params) { parameters }

      it { is_expected.to compile.and_raise_error(message) }
    end
  end

  context 'with a repository where there are no packages' do
    let(:facts) { SYSTEMS.fetch('freebsd-13') }
    let(:params) { { 'manage_package_repo' => true, 'repo_baseurl' => 'http://a' } }

    it {
      is_expected.to compile.and_raise_error(/no packages for the family FreeBSD: set manage_package_repo to false/)
    }
  end

  {
    'the old name of a parameter' => [{ 'log_file' => '/var/log/a.log' },
                                      /log_file is deprecated: use choria::logfile/],
    'a parameter that does nothing' => [{ 'mcollective_config_dir' => '/a' }, /it has no effect, remove it/],
    'a default of allow' => [{ 'policy_default' => 'allow' }, /policy_default is allow/],
    'a password that all may read' => [{ 'client_config' => { 'plugin.x.password' => 'a' } },
                                       /which everybody may read/],
    'a setting that a parameter is for' => [{ 'server_config' => { 'loglevel' => 'info' } },
                                            /loglevel in choria::server_config has no effect: set choria::server_/]
  }.each do |what, (parameters, message)|
    context "with #{what}" do
      let(:params) { parameters }

      it('warns') { expect(warnings).to include(message) }
    end
  end

  context 'with the old names of parameters' do
    let(:params) { { 'log_file' => '/var/log/a.log', 'broker_config' => '/etc/b/b.conf', 'root_group' => 'adm' } }
    let(:post_condition) { 'include choria::broker' }

    it 'takes them' do
      expect(content_of('/etc/choria/server.conf')).to include("logfile = /var/log/a.log\n")
      is_expected.to contain_file('/etc/b/b.conf').with_group('adm')
    end
  end

  context 'with limits but without systemd' do
    let(:facts) { SYSTEMS.fetch('freebsd-13') }
    let(:params) { { 'server_limits' => { 'nofile' => 10 } } }

    it('warns') { expect(warnings).to include(/the limits of choria-server have no effect/) }
  end
end
