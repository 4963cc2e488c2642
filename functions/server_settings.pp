# @summary The settings of the server
#
# Later ones win: what the module sets by itself, old data, what is common to server and clients, what is
# for the server, and last what has a parameter of its own.
#
# @return The settings.
# @api private
function choria::server_settings() >> Choria::Settings {
  $statusfile = $choria::status_write_interval ? {
    0       => undef,
    default => $choria::statusfile,
  }
  $own = {
    'logfile'                              => [$choria::server_logfile, 'server_logfile'],
    'loglevel'                             => [$choria::server_log_level, 'server_log_level'],
    'identity'                             => [$choria::identity, 'identity'],
    'plugin.choria.srv_domain'             => [$choria::srvdomain, 'srvdomain'],
    'plugin.choria.ssldir'                 => [$choria::ssldir, 'ssldir'],
    'plugin.choria.status_file_path'       => [$statusfile, 'statusfile'],
    'plugin.choria.status_update_interval' => [$choria::status_write_interval, 'status_write_interval'],
  }.filter |$key, $pair| { $pair[0] =~ NotUndef }

  $own.each |$key, $pair| {
    [$value, $parameter] = $pair
    if $key in $choria::server_config and $choria::server_config[$key] != $value {
      warning("choria: ${key} in choria::server_config has no effect: set choria::${parameter}")
    }
  }

  $defaults = choria::server_defaults() + {
    'collectives'     => $choria::collectives,
    'main_collective' => pick($choria::main_collective, $choria::collectives[-1]),
  }

  # What an old configuration has for a daemon that is gone is not for this one.
  $legacy = choria::legacy('mcollective::server_config', {}, 'deep').filter |$key, $value| {
    $key =~ /\Aplugin\./ or $key in [
      'classesfile', 'registerinterval', 'registration', 'registration_collective', 'registration_splay',
      'rpcaudit', 'rpcauthorization', 'rpcauthprovider', 'soft_shutdown_timeout', 'ttl',
    ]
  }
  $common = deep_merge(choria::legacy('mcollective::common_config', {}, 'deep').filter |$key, $value| {
      $key =~ /\Aplugin\./
  }, $choria::common_config)

  $parameters = Hash($own.map |$key, $pair| { [$key, $pair[0]] })

  $defaults + $legacy + $common + $choria::server_config + $parameters
}
