# @summary Writes the facts by a timer of systemd
#
# @param ensure
#   Whether to.
# @param interval
#   Minutes between.
# @param script
#   What writes them.
# @param rubypath
#   Ruby that it runs in.
# @api private
class choria::facts::systemd (
  Enum['present', 'absent'] $ensure,
  Integer[0, 60]            $interval,
  Stdlib::Absolutepath      $script,
  Stdlib::Absolutepath      $rubypath,
) {
  assert_private()

  $units = '/etc/systemd/system'
  $timer = 'choria-facts.timer'
  $unit_files = ["${units}/choria-facts.service", "${units}/${timer}"]

  if $ensure == 'present' {
    file { $unit_files[0]:
      ensure  => file,
      owner   => 'root',
      group   => 'root',
      mode    => '0644',
      content => epp('choria/facts.service.epp', { 'script' => $script, 'rubypath' => $rubypath }),
    }
    file { $unit_files[1]:
      ensure  => file,
      owner   => 'root',
      group   => 'root',
      mode    => '0644',
      content => epp('choria/facts.timer.epp', { 'interval' => $interval }),
    }
    service { $timer:
      ensure => running,
      enable => true,
    }
    File[$unit_files] ~> Exec['systemctl daemon-reload for choria-facts'] ~> Service[$timer]
  } else {
    # What is not there needs no stopping, and an image that is being built has no systemd to ask.
    exec { 'choria: stop the timer of the facts':
      command => "systemctl disable --now ${timer}",
      onlyif  => "test -e ${unit_files[1]}",
      path    => ['/bin', '/usr/bin'],
    }
    file { $unit_files:
      ensure => absent,
    }
    Exec['choria: stop the timer of the facts'] -> File[$unit_files] ~> Exec['systemctl daemon-reload for choria-facts']
  }

  exec { 'systemctl daemon-reload for choria-facts':
    command     => 'systemctl daemon-reload',
    path        => ['/bin', '/usr/bin'],
    refreshonly => true,
  }
}
