# @summary Settings of the authorization by action policies
#
# The server has it built in.
#
# @example A policy for agents that have none of their own, in Hiera
#   mcollective_util_actionpolicy::config:
#     enable_default: true
#     default_name: default
#
# @param config_name
#   Name of the file in `plugin.d`, without its extension.
# @param config
#   Settings, by names that lack the prefix of the plugin.
# @param client_config
#   Settings for machines that people use to manage others; they win.
# @param server_config
#   Settings for nodes; they win.
# @param client
#   Whether people use this machine to manage others.
# @param server
#   Whether this node runs the server.
# @param ensure
#   `absent` removes settings and policy.
class mcollective_util_actionpolicy (
  String[1]                 $config_name,
  Choria::Settings          $config        = {},
  Choria::Settings          $client_config = {},
  Choria::Settings          $server_config = {},
  Boolean                   $client        = $mcollective::client,
  Boolean                   $server        = $mcollective::server,
  Enum['present', 'absent'] $ensure        = 'present',
) {
  mcollective::module_plugin { $name:
    ensure        => $ensure,
    config_name   => $config_name,
    config        => $config,
    client_config => $client_config,
    server_config => $server_config,
    client        => $client,
    server        => $server,
  }
}
