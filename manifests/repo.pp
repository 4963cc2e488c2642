# @summary The repository that has the package
#
# @api private
class choria::repo {
  assert_private()

  $root = $choria::repo_baseurl
  $gpgkey = $choria::repo_gpgkey ? {
    undef   => $root ? {
      undef   => undef,
      default => "${root}/release.asc",
    },
    default => $choria::repo_gpgkey,
  }
  $nightly_ensure = $choria::nightly_repo ? {
    true    => $choria::ensure,
    default => 'absent',
  }

  if $choria::ensure == 'present' and $gpgkey == undef and $choria::repo_gpgkey_content == undef {
    fail(
      'choria: manage_package_repo is true, but no signing key is known:',
      'set repo_gpgkey or repo_gpgkey_content, or set manage_package_repo to false'
    )
  }

  case $facts['os']['family'] {
    'Debian': { contain choria::repo::apt }
    'RedHat': { contain choria::repo::yum }
    default: {
      fail(
        "choria: manage_package_repo is true, but there are no packages for the family ${facts['os']['family']}:",
        'set manage_package_repo to false'
      )
    }
  }

  if $choria::ensure == 'present' {
    Class['choria::repo'] -> Class['choria::install']
  } else {
    # Everything else goes first: what is removed last can be repeated when it fails.
    Class['choria::config'] -> Class['choria::repo']
  }
}
