# @summary The configuration of clients
#
# @param collectives
#   Collectives that may be addressed.
# @param main_collective
#   The one that is used where none is named.
# @param common_config
#   Settings of the server and of clients.
# @param client_config
#   Settings of clients; they win.
# @param libdir
#   Directory of plugins.
# @api private
class choria::client_config (
  Array[Choria::Collective, 1] $collectives,
  Optional[Choria::Collective] $main_collective,
  Choria::Settings             $common_config,
  Choria::Settings             $client_config,
  Stdlib::Absolutepath         $libdir,
) {
  choria::assert_family($title, $caller_module_name)

  # The directory that the platform has is found without being told, and other users have their own.
  $ssldir = $choria::ssldir ? {
    choria::platform('ssldir') => {},
    default                    => { 'plugin.choria.ssldir' => $choria::ssldir },
  }
  $settings = {
    'collectives'        => $collectives,
    'main_collective'    => pick($main_collective, $collectives[-1]),
    'loglevel'           => 'warn',
    'connection_timeout' => 3,
  } + $ssldir + $common_config + $client_config + { 'libdir' => $libdir }

  $settings.each |$key, $value| {
    if $key =~ /password\z/ and $value =~ NotUndef {
      warning(
        "choria: ${key} is in ${choria::client_config_file}, which everybody may read:",
        'put it into the ~/.choriarc of those who need it'
      )
    }
  }

  if $choria::ensure == 'absent' {
    file { $choria::client_config_file:
      ensure => absent,
    }
    Class['choria::install'] -> Class['choria::client_config']
  } else {
    if $choria::manage_client_config and ($choria::client or $choria::server) {
      file { $choria::client_config_file:
        ensure  => file,
        owner   => $choria::config_user,
        group   => $choria::config_group,
        mode    => '0644',
        content => choria::config_file($settings),
      }
    }
    Class['choria::config'] -> Class['choria::client_config']
  }
}
