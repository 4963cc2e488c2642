# @summary Policy and settings of the agent service, which manages services
#
# The server has the agent built in; an agent of this name written in Ruby takes its place where one is
# installed. Without policies from elsewhere their state may be seen by all, nothing else.
#
# @example What operators may do, in Hiera
#   mcollective_agent_service::policies:
#     - action: allow
#       callers: choria=operator.mcollective
#
# @param config_name
#   Name of the file in `plugin.d`, without its extension.
# @param config
#   Settings, by names that lack the prefix of the plugin.
# @param client_config
#   Settings for machines that people use to manage others; they win.
# @param server_config
#   Settings for nodes; they win.
# @param policies
#   Lines of the policy; they replace those of the module.
# @param policy_default
#   What to do with requests that no line matches.
# @param site_policies
#   Lines that come after those.
# @param client
#   Whether people use this machine to manage others.
# @param server
#   Whether this node runs the server.
# @param ensure
#   `absent` removes settings and policy.
class mcollective_agent_service (
  String[1]                 $config_name,
  Choria::Settings          $config         = {},
  Choria::Settings          $client_config  = {},
  Choria::Settings          $server_config  = {},
  Array[Choria::PolicyLine] $policies       = [],
  Choria::PolicyAction      $policy_default = $mcollective::policy_default,
  Array[Choria::PolicyLine] $site_policies  = $mcollective::site_policies,
  Boolean                   $client         = $mcollective::client,
  Boolean                   $server         = $mcollective::server,
  Enum['present', 'absent'] $ensure         = 'present',
) {
  mcollective::module_plugin { $name:
    ensure         => $ensure,
    config_name    => $config_name,
    config         => $config,
    client_config  => $client_config,
    server_config  => $server_config,
    policies       => $policies,
    policy_default => $policy_default,
    site_policies  => $site_policies,
    client         => $client,
    server         => $server,
  }
}
