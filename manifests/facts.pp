# @summary Writes the facts of the node to a file, for the server to read
#
# @param refresh_type
#   What does so at intervals.
# @param refresh_interval
#   Minutes between.
# @param file
#   The file.
# @param pidfile
#   File that keeps two from writing at once.
# @param rubypath
#   Ruby that can load Puppet.
# @api private
class choria::facts (
  Enum['auto', 'systemd', 'cron', 'none'] $refresh_type,
  Integer[0, 60]                          $refresh_interval,
  Stdlib::Absolutepath                    $file,
  Optional[Stdlib::Absolutepath]          $pidfile,
  Stdlib::Absolutepath                    $rubypath,
) {
  choria::assert_family($title, $caller_module_name)

  # Where there is no server, nobody reads them.
  if $refresh_type != 'none' and $choria::server {
    $present = $choria::ensure == 'present'
    $scheduled = $present and $refresh_interval > 0
    $script = "${dirname($choria::libdir)}/refresh_facts.rb"
    $schedule = [$facts['os']['family'], $refresh_type, $facts['service_provider']] ? {
      ['windows', Any, Any]       => 'windows',
      [Any, 'systemd', Any]       => 'systemd',
      [Any, 'auto', 'systemd']    => 'systemd',
      default                     => 'cron',
    }

    if $present {
      file { $script:
        ensure  => file,
        owner   => $choria::config_user,
        group   => $choria::config_group,
        mode    => '0755',
        content => epp('choria/refresh_facts.rb.epp', { 'file' => $file, 'pidfile' => $pidfile }),
      }
      -> exec { 'choria: write the facts for the first time':
        command => "\"${rubypath}\" \"${script}\"",
        creates => $file,
      }
      Class['choria::config'] -> Class['choria::facts'] -> Class[$choria::service_class]
    } else {
      file { [$script, $file]:
        ensure => absent,
      }
      Class['choria::install'] -> Class['choria::facts']
    }

    # With an interval of 0 a schedule that is there is removed. Neither cron nor systemd has to be there for
    # that: images are built without them.
    $schedule_ensure = $scheduled ? {
      true    => 'present',
      default => 'absent',
    }
    class { "choria::facts::${schedule}":
      ensure   => $schedule_ensure,
      interval => $refresh_interval,
      script   => $script,
      rubypath => $rubypath,
    }
    contain "choria::facts::${schedule}"
  }
}
