# @summary A drop-in with the limits of a service
#
# Only where systemd runs services: elsewhere there is a warning when there are limits.
#
# @param ensure
#   Whether there may be a drop-in; it is removed when it would be empty, too.
# @param limits
#   The limits.
# @param writable
#   Directories that a hardened service writes to beside its own.
# @api private
define choria::service_limits (
  Enum['present', 'absent']    $ensure   = 'present',
  Choria::ServiceLimits        $limits   = {},
  Array[Stdlib::Absolutepath]  $writable = [],
) {
  assert_private()

  $directory = "/etc/systemd/system/${name}.service.d"
  $file = "${directory}/50-puppet.conf"

  if $facts['service_provider'] == 'systemd' {
    if $ensure == 'present' and !($limits.empty and $writable.empty) {
      file { $directory:
        ensure => directory,
        owner  => 'root',
        group  => 'root',
        mode   => '0755',
      }
      file { $file:
        ensure  => file,
        owner   => 'root',
        group   => 'root',
        mode    => '0644',
        content => epp('choria/limits.epp', { 'limits' => $limits, 'writable' => $writable }),
      }
    } else {
      file { $file:
        ensure => absent,
      }
    }

    # Left to Puppet, the first drop-in of a unit would be overlooked: systemd 252 does not ask for it.
    exec { "systemctl daemon-reload for ${name}":
      command     => 'systemctl daemon-reload',
      path        => ['/bin', '/usr/bin'],
      refreshonly => true,
      subscribe   => File[$file],
    }
  } elsif !$limits.empty {
    warning("choria: the limits of ${name} have no effect: they need systemd")
  }
}
