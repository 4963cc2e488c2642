# @summary The APT repository
#
# @api private
class choria::repo::apt {
  assert_private()
  include apt

  $keyring = '/etc/apt/keyrings/choria-release.asc'
  $root = $choria::repo_baseurl
  $location = $choria::repo_apt_location ? {
    undef   => $root ? {
      undef   => undef,
      default => "${root}/apt",
    },
    default => $choria::repo_apt_location,
  }

  if $choria::ensure == 'present' {
    if $location == undef {
      fail(
        'choria: manage_package_repo is true, but no address is known:',
        'set repo_baseurl or repo_apt_location, or set manage_package_repo to false'
      )
    }
    if $choria::nightly_repo and $root == undef {
      fail('choria: nightly_repo is true, but no address is known: set repo_baseurl, or set nightly_repo to false')
    }
    unless defined(File['/etc/apt/keyrings']) {
      file { '/etc/apt/keyrings':
        ensure => directory,
        owner  => 'root',
        group  => 'root',
        mode   => '0755',
      }
    }

    $key = $choria::repo_gpgkey_content ? {
      undef   => { 'source' => $choria::repo::gpgkey },
      default => { 'content' => $choria::repo_gpgkey_content },
    }

    # A key that is replaced changes no source, so the index has to be fetched again because of it.
    file { $keyring:
      ensure => file,
      owner  => 'root',
      group  => 'root',
      mode   => '0644',
      notify => Class['apt::update'],
      *      => $key,
    }
    Class['apt::update'] -> Class['choria::install']
  } else {
    file { $keyring:
      ensure => absent,
    }
  }

  apt::source { 'choria_release':
    ensure   => $choria::ensure,
    location => $location,
    release  => $choria::repo_apt_release,
    repos    => $choria::repo_apt_components,
    keyring  => $keyring,
  }
  apt::source { 'choria_nightly':
    ensure   => $choria::repo::nightly_ensure,
    location => "${root}/nightly/apt",
    release  => $choria::repo_apt_release,
    repos    => $choria::repo_apt_components,
    keyring  => $keyring,
  }

  if $choria::ensure == 'present' {
    File[$keyring] -> Apt::Source['choria_release', 'choria_nightly']
  } else {
    Apt::Source['choria_release', 'choria_nightly'] -> File[$keyring]
  }
}
