# @summary The old name of `choria::shared_config`
#
# The settings are taken from Hiera, whether or not this class is declared: `mcollective_choria::config` and
# its like are merged below `choria::shared_config`. What the plugins of old did is in the daemons now.
#
# @param config
#   Settings of servers, brokers and clients, by names that lack `plugin.choria.`.
# @param client_config
#   Settings on machines that people use to manage others; they win.
# @param server_config
#   Settings on nodes; they win.
# @param ensure
#   Without effect.
class mcollective_choria (
  Choria::Settings          $config        = {},
  Choria::Settings          $client_config = {},
  Choria::Settings          $server_config = {},
  Enum['present', 'absent'] $ensure        = 'present',
) {
  include choria

  $given = { 'config' => $config, 'client_config' => $client_config, 'server_config' => $server_config }
  $given.each |$name, $settings| {
    if $settings != choria::legacy("mcollective_choria::${name}", {}, 'deep') {
      fail("mcollective_choria: ${name} is not from Hiera and would have no effect: set choria::shared_config")
    }
  }
}
