# @summary The settings that servers, brokers and clients of this machine share
#
# @param client
#   Whether people use this machine to manage others.
# @param server
#   Whether this machine runs the server.
# @return The settings, by names that lack `plugin.choria.`.
# @api private
function choria::shared_settings(Boolean $client, Boolean $server) >> Choria::Settings {
  $roles = {
    'config'        => true,
    'client_config' => $client,
    'server_config' => $server,
  }
  $legacy = $roles.filter |$name, $wanted| { $wanted }.keys.map |$name| {
    choria::legacy("mcollective_choria::${name}", {}, 'deep')
  }

  ($legacy + [$choria::shared_config]).reduce({}) |$merged, $settings| { deep_merge($merged, $settings) }
}
