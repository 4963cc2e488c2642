# @summary The YUM repository
#
# @api private
class choria::repo::yum {
  assert_private()

  $keyfile = '/etc/pki/rpm-gpg/RPM-GPG-KEY-choria'
  $root = $choria::repo_baseurl
  $source = $choria::repo::gpgkey
  $content = $choria::repo_gpgkey_content

  # The package manager fetches a key from the network by itself; any other has to be on the node.
  $key = [$content, $source] ? {
    [undef, /\A(?:https?|file):/] => undef,
    [undef, Any]                  => { 'source' => $source },
    default                       => { 'content' => $content },
  }
  $gpgkey = $key ? {
    undef   => $source,
    default => "file://${keyfile}",
  }

  if $choria::ensure == 'present' {
    if $choria::repo_yum_baseurl and $choria::repo_yum_mirrorlist {
      fail('choria: both repo_yum_baseurl and repo_yum_mirrorlist are set: unset one of them')
    }
    if $root == undef and $choria::repo_yum_baseurl == undef and $choria::repo_yum_mirrorlist == undef {
      fail(
        'choria: manage_package_repo is true, but no address is known:',
        'set repo_baseurl, repo_yum_baseurl or repo_yum_mirrorlist, or set manage_package_repo to false'
      )
    }
    if $choria::nightly_repo and $root == undef {
      fail('choria: nightly_repo is true, but no address is known: set repo_baseurl, or set nightly_repo to false')
    }
  }

  if $choria::repo_yum_mirrorlist {
    $address = { 'mirrorlist' => $choria::repo_yum_mirrorlist }
  } else {
    $address = { 'baseurl' => pick($choria::repo_yum_baseurl, "${root}/yum/\$basearch") }
  }

  $key_ensure = ($choria::ensure == 'present' and $key =~ NotUndef) ? {
    true    => file,
    default => absent,
  }
  $key_content = $key_ensure ? {
    'file'  => $key,
    default => {},
  }
  file { $keyfile:
    ensure => $key_ensure,
    owner  => 'root',
    group  => 'root',
    mode   => '0644',
    *      => $key_content,
  }

  $common = {
    'gpgcheck'        => '1',
    'repo_gpgcheck'   => String(Integer($choria::repo_gpgcheck)),
    'sslverify'       => '1',
    'metadata_expire' => '300',
    'gpgkey'          => $gpgkey,
    'enabled'         => '1',
  }
  $release = $choria::ensure ? {
    'present' => $common + $address + { 'descr' => 'Choria' },
    default   => {},
  }
  $nightly = $choria::repo::nightly_ensure ? {
    'present' => $common + { 'descr' => 'Choria, nightly builds', 'baseurl' => "${root}/nightly/yum/\$basearch" },
    default   => {},
  }

  yumrepo { 'choria_release':
    ensure => $choria::ensure,
    *      => $release,
  }
  yumrepo { 'choria_nightly':
    ensure => $choria::repo::nightly_ensure,
    *      => $nightly,
  }

  if $choria::ensure == 'present' {
    File[$keyfile] -> Yumrepo['choria_release', 'choria_nightly']
  } else {
    Yumrepo['choria_release', 'choria_nightly'] -> File[$keyfile]
  }
}
