# @summary The settings of the NATS system account
#
# @return The settings.
# @api private
function choria::broker_system() >> Choria::Settings {
  $choria::broker::system_user ? {
    ''      => {},
    default => {
      'plugin.choria.network.system.user'     => $choria::broker::system_user,
      'plugin.choria.network.system.password' => $choria::broker::system_password,
    },
  }
}
