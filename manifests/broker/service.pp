# @summary Runs the broker
#
# @api private
class choria::broker::service {
  assert_private()

  $unit = $choria::broker_service_name
  $store = $choria::broker::stream_store

  # The unit may only write to its own directories.
  $writable = $store ? {
    undef                       => [],
    /\A\/var\/lib\/choria(?:\/|\z)/ => [],
    default                     => [$store],
  }

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
    }
  }
}
