# @summary The configuration that agents written in Ruby see
#
# The server has already authorized and audited what reaches them, so they do neither again.
#
# @api private
class choria::ruby_agents {
  assert_private()

  $file = "${choria::configdir}/choria-shim.cfg"

  if $choria::ensure == 'absent' {
    file { $file:
      ensure => absent,
    }
  } elsif $choria::server and $choria::manage_server_config {
    $main_collective = pick($choria::main_collective, $choria::collectives[-1])
    $server = choria::server_settings() - [
      'collectives', 'plugin.rpcaudit.logfile', 'registerinterval', 'registration', 'rpcauditprovider',
    ]
    $settings = $server + {
      'collectives'      => [$main_collective],
      'main_collective'  => $main_collective,
      'libdir'           => $choria::libdir,
      'factsource'       => 'yaml',
      'daemonize'        => 0,
      'rpcaudit'         => 0,
      'rpcauthorization' => 0,
    }

    file { $file:
      ensure  => file,
      owner   => $choria::config_user,
      group   => $choria::config_group,
      mode    => '0640',
      content => choria::config_file($settings),
      notify  => $choria::notify_server,
    }
  }
}
