# @summary The old name of the service, for what notifies this class
#
# Modules from elsewhere notify it when they change a plugin.
class mcollective::service {
  include choria

  if $choria::notify_server {
    Class['mcollective::service'] ~> $choria::notify_server
  }
}
