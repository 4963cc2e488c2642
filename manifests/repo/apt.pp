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

    # From a web server a file is only fetched when it is younger there than it is here, which the key of
    # another address need not be. That address is in the comment of the source, so that this notices it.
    exec { 'choria: forget the key of another address':
      command     => "rm -f ${keyring}",
      path        => ['/bin', '/usr/bin'],
      refreshonly => true,
      subscribe   => Apt::Source['choria_release'],
      before      => File[$keyring],
    }

    # The index is fetched when the source or the key changes. When the repository was away just then the
    # package is still unknown.
    if $choria::manage_package {
      exec { 'choria: fetch the index that was not to be had':
        command => 'apt-get -q update',
        unless  => "apt-cache show ${choria::package_name}",
        path    => ['/bin', '/usr/bin'],
        require => Class['apt::update'],
        before  => Class['choria::install'],
      }
    }
    Class['apt::update'] -> Class['choria::install']
  } else {
    file { $keyring:
      ensure => absent,
    }
  }

  $comment = $choria::repo_gpgkey_content ? {
    undef   => "Choria, with the key of ${choria::repo::gpgkey}",
    default => 'Choria',
  }
  apt::source { 'choria_release':
    ensure   => $choria::ensure,
    comment  => $comment,
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

  Apt::Source['choria_release', 'choria_nightly'] -> File[$keyring]
}
