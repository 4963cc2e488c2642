# @summary Runs the server
#
# Only declared on nodes that run it: discovery by PuppetDB finds servers by the name of this class.
#
# @api private
class choria::service {
  assert_private()

  if $choria::manage_service {
    choria::service_limits { $choria::server_service_name:
      limits => $choria::server_limits,
    }
    ~> service { $choria::server_service_name:
      ensure => running,
      enable => $choria::server_service_enable,
    }
  }
}
