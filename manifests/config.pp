# @summary The configuration of the server
#
# @api private
class choria::config {
  assert_private()

  $configdir = $choria::configdir
  $token = $choria::server_provisioning_token

  if $choria::ensure == 'present' {
    $directories = unique($choria::required_directories + [$configdir, dirname($choria::client_config_file)])
    $directories.each |$directory| {
      unless defined(File[$directory]) {
        file { $directory:
          ensure => directory,
          owner  => $choria::config_user,
          group  => $choria::config_group,
        }
      }
    }
  }

  if $choria::ensure == 'absent' {
    file { [$choria::server_config_file, $choria::server_provisioning_token_file]:
      ensure => absent,
    }
  } elsif $choria::server {
    if $choria::manage_server_config {
      $settings = choria::server_settings()

      file { $choria::server_config_file:
        ensure  => file,
        owner   => $choria::config_user,
        group   => $choria::config_group,
        mode    => '0640',
        content => choria::config_file($settings),
        notify  => $choria::notify_server,
      }
    }

    if $token =~ NotUndef {
      $secret = $token ? {
        Sensitive => $token,
        default   => Sensitive($token),
      }
      file { $choria::server_provisioning_token_file:
        ensure  => file,
        owner   => $choria::config_user,
        group   => $choria::config_group,
        mode    => '0600',
        content => $secret,
        notify  => $choria::notify_server,
      }
    }
  }

  contain choria::ruby_agents
}
