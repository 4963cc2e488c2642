# @summary The old name of choria::plugin
#
# Existing modules of plugins declare it in a class of their own name, which is what their files are found
# by. The parameters are those of `choria::plugin`.
#
# @example The class of a module that ships an agent
#   class mcollective_agent_backup (String $config_name, Array[String] $server_files = []) {
#     mcollective::module_plugin { $name:
#       config_name  => $config_name,
#       server_files => $server_files,
#     }
#   }
#
# @param config_name
#   Name of the file in `plugin.d`, without its extension.
# @param client_files
#   Files for machines that people use to manage others.
# @param client_directories
#   Directories for these.
# @param server_files
#   Files for nodes.
# @param server_directories
#   Directories for nodes.
# @param common_files
#   Files for both.
# @param common_directories
#   Directories for both.
# @param executable_files
#   Those of all these files that are programs.
# @param manage_gem_dependencies
#   Whether to install Ruby libraries.
# @param gem_dependencies
#   Ruby libraries and their versions.
# @param manage_package_dependencies
#   Whether to install packages.
# @param package_dependencies
#   Packages and their versions.
# @param manage_class_dependencies
#   Whether to declare classes.
# @param class_dependencies
#   Classes.
# @param policy_default
#   What to do with requests that no line matches.
# @param policies
#   Lines of the policy.
# @param site_policies
#   Lines that come after those.
# @param rego_policy_source
#   Policy of the agent in the language Rego.
# @param config
#   Settings.
# @param client_config
#   Settings for machines that people use to manage others.
# @param server_config
#   Settings for nodes.
# @param client
#   Whether to install the client parts.
# @param server
#   Whether to install the server parts.
# @param libdir
#   Directory of plugins.
# @param configdir
#   Directory of configuration; that of the server when undef.
# @param owner
#   Owner of the files.
# @param group
#   Group of the files.
# @param mode
#   Mode of the files.
# @param executable_mode
#   Mode of those that are programs.
# @param file_transfer_type
#   `content` puts the files into the catalog.
# @param gem_options
#   Options for installing Ruby libraries.
# @param ensure
#   `absent` removes files, settings and policy.
define mcollective::module_plugin (
  String[1]                      $config_name,
  Array[String]                  $client_files                = [],
  Array[String]                  $client_directories          = [],
  Array[String]                  $server_files                = [],
  Array[String]                  $server_directories          = [],
  Array[String]                  $common_files                = [],
  Array[String]                  $common_directories          = [],
  Array[String]                  $executable_files            = [],
  Boolean                        $manage_gem_dependencies     = true,
  Hash                           $gem_dependencies            = {},
  Boolean                        $manage_package_dependencies = true,
  Hash                           $package_dependencies        = {},
  Boolean                        $manage_class_dependencies   = true,
  Array[String]                  $class_dependencies          = [],
  Mcollective::Policy_action     $policy_default              = $mcollective::policy_default,
  Array[Mcollective::Policy]     $policies                    = [],
  Array[Mcollective::Policy]     $site_policies               = $mcollective::site_policies,
  Optional[String]               $rego_policy_source          = undef,
  Hash                           $config                      = {},
  Hash                           $client_config               = {},
  Hash                           $server_config               = {},
  Boolean                        $client                      = $mcollective::client,
  Boolean                        $server                      = $mcollective::server,
  Stdlib::Absolutepath           $libdir                      = $mcollective::libdir,
  Optional[Stdlib::Absolutepath] $configdir                   = undef,
  Optional[String]               $owner                       = $mcollective::plugin_owner,
  Optional[String]               $group                       = $mcollective::plugin_group,
  Optional[String]               $mode                        = $mcollective::plugin_mode,
  Optional[String]               $executable_mode             = $mcollective::plugin_executable_mode,
  Enum['source', 'content']      $file_transfer_type          = $mcollective::plugin_file_transfer_type,
  Array                          $gem_options                 = $mcollective::gem_options,
  Enum['present', 'absent']      $ensure                      = 'present',
) {
  choria::plugin { $name:
    ensure                      => $ensure,
    config_name                 => $config_name,
    client_files                => $client_files,
    client_directories          => $client_directories,
    server_files                => $server_files,
    server_directories          => $server_directories,
    common_files                => $common_files,
    common_directories          => $common_directories,
    executable_files            => $executable_files,
    manage_gem_dependencies     => $manage_gem_dependencies,
    gem_dependencies            => $gem_dependencies,
    manage_package_dependencies => $manage_package_dependencies,
    package_dependencies        => $package_dependencies,
    manage_class_dependencies   => $manage_class_dependencies,
    class_dependencies          => $class_dependencies,
    policy_default              => $policy_default,
    policies                    => $policies,
    site_policies               => $site_policies,
    rego_policy_source          => $rego_policy_source,
    config                      => $config,
    client_config               => $client_config,
    server_config               => $server_config,
    client                      => $client,
    server                      => $server,
    libdir                      => $libdir,
    configdir                   => choria::either($configdir, $choria::configdir),
    owner                       => $owner,
    group                       => $group,
    mode                        => $mode,
    executable_mode             => $executable_mode,
    file_transfer_type          => $file_transfer_type,
    gem_options                 => $gem_options,
    source_module               => $caller_module_name,
  }
}
