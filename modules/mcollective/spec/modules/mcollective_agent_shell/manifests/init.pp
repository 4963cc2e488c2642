# @summary A plugin as modules from the Forge have it: its defaults are variables of the class mcollective
#
# @param config_name
#   Name of the file in `plugin.d`.
# @param client_files
#   Files for clients.
# @param client_directories
#   Directories for clients.
# @param server_files
#   Files for nodes.
# @param server_directories
#   Directories for nodes.
# @param common_files
#   Files for both.
# @param common_directories
#   Directories for both.
# @param gem_dependencies
#   Ruby libraries.
# @param policy_default
#   What to do with requests that no line matches.
# @param policies
#   Lines of the policy.
# @param site_policies
#   Lines that come after those.
# @param config
#   Settings.
# @param client
#   Whether to install the client parts.
# @param server
#   Whether to install the server parts.
# @param ensure
#   Whether to install it.
class mcollective_agent_shell (
  String                      $config_name,
  Array[String]               $client_files,
  Array[String]               $client_directories,
  Array[String]               $server_files,
  Array[String]               $server_directories,
  Array[String]               $common_files       = [],
  Array[String]               $common_directories = [],
  Hash                        $gem_dependencies   = {},
  Mcollective::Policy_action  $policy_default     = $mcollective::policy_default,
  Array[Mcollective::Policy]  $policies           = [],
  Array[Mcollective::Policy]  $site_policies      = $mcollective::site_policies,
  Hash                        $config             = {},
  Boolean                     $client             = $mcollective::client,
  Boolean                     $server             = $mcollective::server,
  Enum['present', 'absent']   $ensure             = 'present',
) {
  mcollective::module_plugin { $name:
    ensure             => $ensure,
    config_name        => $config_name,
    client_files       => $client_files,
    client_directories => $client_directories,
    server_files       => $server_files,
    server_directories => $server_directories,
    common_files       => $common_files,
    common_directories => $common_directories,
    gem_dependencies   => $gem_dependencies,
    policy_default     => $policy_default,
    policies           => $policies,
    site_policies      => $site_policies,
    config             => $config,
    client             => $client,
    server             => $server,
  }
}
