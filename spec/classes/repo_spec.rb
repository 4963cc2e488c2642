# frozen_string_literal: true

RSpec.describe 'choria' do
  let(:params) { { 'manage_package_repo' => true, 'repo_baseurl' => 'https://mirror.example.net/choria' } }

  context 'on Debian' do
    let(:facts) { SYSTEMS.fetch('debian-12') }

    it 'has the repository before the package' do
      is_expected.to compile.with_all_deps
      is_expected.to contain_apt__source('choria_release').with(
        'location' => 'https://mirror.example.net/choria/apt', 'release' => 'stable', 'repos' => 'main',
        'keyring' => '/etc/apt/keyrings/choria-release.asc'
      )
      is_expected.to contain_apt__source('choria_nightly').with_ensure('absent')
      is_expected.to contain_class('apt::update').that_comes_before('Package[choria]')
    end

    it 'fetches the index again when the key is replaced' do
      is_expected.to contain_file('/etc/apt/keyrings/choria-release.asc')
        .with_source('https://mirror.example.net/choria/release.asc').that_notifies('Class[apt::update]')
        .that_requires('Apt::Source[choria_release]')
    end

    context 'with nightly builds and the key as text' do
      let(:params) { super().merge('nightly_repo' => true, 'repo_gpgkey_content' => 'KEY', 'repo_gpgkey' => '/a') }

      it 'takes the text' do
        is_expected.to contain_file('/etc/apt/keyrings/choria-release.asc').with_content('KEY').without_source
        is_expected.to contain_apt__source('choria_nightly')
          .with_ensure('present').with_location('https://mirror.example.net/choria/nightly/apt')
      end
    end

    context 'with an address of its own' do
      let(:params) { super().merge('repo_apt_location' => 'mirror://m.example.net/list', 'repo_apt_release' => 'old') }

      it do
        is_expected.to contain_apt__source('choria_release')
          .with_location('mirror://m.example.net/list').with_release('old')
      end
    end
  end

  context 'on Red Hat' do
    let(:facts) { SYSTEMS.fetch('redhat-9') }

    it 'has the repository before the package' do
      is_expected.to compile.with_all_deps
      is_expected.to contain_yumrepo('choria_release').with(
        'descr' => 'Choria', 'baseurl' => 'https://mirror.example.net/choria/yum/$basearch', 'gpgcheck' => '1',
        'repo_gpgcheck' => '1', 'sslverify' => '1', 'metadata_expire' => '300',
        'gpgkey' => 'https://mirror.example.net/choria/release.asc'
      ).that_comes_before('Package[choria]')
      is_expected.to contain_yumrepo('choria_nightly').with_ensure('absent')
    end

    context 'with a list of mirrors and a key of the module' do
      let(:params) do
        { 'manage_package_repo' => true, 'repo_yum_mirrorlist' => 'https://m.example.net/list',
          'repo_gpgkey' => 'puppet:///modules/site/key.asc', 'repo_gpgcheck' => false }
      end

      it 'puts the key onto the node' do
        is_expected.to contain_yumrepo('choria_release').with(
          'mirrorlist' => 'https://m.example.net/list', 'baseurl' => nil, 'repo_gpgcheck' => '0',
          'gpgkey' => 'file:///etc/pki/rpm-gpg/RPM-GPG-KEY-choria'
        )
        is_expected.to contain_file('/etc/pki/rpm-gpg/RPM-GPG-KEY-choria')
          .with_source('puppet:///modules/site/key.asc').that_comes_before('Yumrepo[choria_release]')
      end
    end

    context 'with both an address and a list of mirrors' do
      let(:params) { super().merge('repo_yum_mirrorlist' => 'https://a', 'repo_yum_baseurl' => 'https://b') }

      it { is_expected.to compile.and_raise_error(/both repo_yum_baseurl and repo_yum_mirrorlist are set/) }
    end
  end
end
