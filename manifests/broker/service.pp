# @summary Runs the broker
#
# @api private
class choria::broker::service {
  assert_private()

  $unit = $choria::broker_service_name

  # The unit may only write to its own directories.
  $writable = choria::broker_directories().filter |$directory| { $directory !~ /\A\/var\/lib\/choria(?:\/|\z)/ }

  if $choria::ensure == 'present' {
    if $choria::manage_service and $choria::broker::manage_service {
      choria::service_limits { $unit:
        limits   => $choria::broker::limits,
        writable => $writable,
      }
      ~> service { $unit:
        ensure => running,
        enable => true,
      }
    }
  } else {
    if $choria::manage_service and $choria::broker::manage_service {
      service { $unit:
        ensure => stopped,
        enable => false,
      }
      -> choria::service_limits { $unit:
        ensure => absent,
      }
    }
  }
}
