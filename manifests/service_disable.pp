# @summary Stops the server and keeps it from starting
#
# @api private
class choria::service_disable {
  assert_private()

  if $choria::manage_service {
    service { $choria::server_service_name:
      ensure => stopped,
      enable => false,
    }
    -> choria::service_limits { $choria::server_service_name:
      ensure => absent,
    }
  }
}
