# @summary A plugin: its files, settings, dependencies and policy
#
# Files are those below `files/mcollective` of the module that declares this, and go to
# `<libdir>/mcollective`. A wrapper of this define passes `source_module => $caller_module_name`.
#
# @example An agent, in the class of a module that ships it
#   choria::plugin { 'mcollective_agent_backup':
#     config_name  => 'backup',
#     common_files => ['agent/backup.json', 'agent/backup.ddl'],
#     server_files => ['agent/backup.rb'],
#     config       => { 'directory' => '/srv/backup' },
#     policies     => [{ 'action' => 'allow', 'actions' => 'status' }],
#   }
#
# @param config_name
#   Name of the file in `plugin.d`, without its extension.
# @param client_files
#   Files for machines that people use to manage others.
# @param server_files
#   Files for nodes.
# @param common_files
#   Files for both.
# @param executable_files
#   Those of all these that are programs.
# @param client_directories
#   Directories for machines that people use to manage others.
# @param server_directories
#   Directories for nodes.
# @param common_directories
#   Directories for both.
# @param config
#   Settings, by names that lack the prefix of the plugin.
# @param client_config
#   Settings for machines that people use to manage others; they win.
# @param server_config
#   Settings for nodes; they win.
# @param policies
#   Lines of the policy, when this is an agent: its name is `mcollective_agent_NAME`.
# @param policy_default
#   What to do with requests that no line matches.
# @param site_policies
#   Lines that come after those.
# @param rego_policy_source
#   Policy of the agent in the language Rego.
# @param gem_dependencies
#   Ruby libraries and their versions.
# @param manage_gem_dependencies
#   Whether to install them.
# @param package_dependencies
#   Packages and their versions.
# @param manage_package_dependencies
#   Whether to install them.
# @param class_dependencies
#   Classes.
# @param manage_class_dependencies
#   Whether to declare them.
# @param client
#   Whether to install the client parts.
# @param server
#   Whether to install the server parts. When neither, nothing is managed.
# @param ensure
#   `absent` removes files, settings and policy.
# @param source_module
#   Module that has the files.
# @param libdir
#   Directory of plugins.
# @param configdir
#   Directory of configuration.
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
define choria::plugin (
  Pattern[/\A[\w.-]+\z/]              $config_name                 = $name,
  Array[Choria::PluginPath]           $client_files                = [],
  Array[Choria::PluginPath]           $server_files                = [],
  Array[Choria::PluginPath]           $common_files                = [],
  Array[Choria::PluginPath]           $executable_files            = [],
  Array[Choria::PluginPath]           $client_directories          = [],
  Array[Choria::PluginPath]           $server_directories          = [],
  Array[Choria::PluginPath]           $common_directories          = [],
  Choria::Settings                    $config                      = {},
  Choria::Settings                    $client_config               = {},
  Choria::Settings                    $server_config               = {},
  Array[Choria::PolicyLine]               $policies                    = [],
  Choria::PolicyAction                $policy_default              = $choria::policy_default,
  Array[Choria::PolicyLine]               $site_policies               = $choria::site_policies,
  Optional[Stdlib::Filesource]        $rego_policy_source          = undef,
  Hash[String[1], String[1]]          $gem_dependencies            = {},
  Boolean                             $manage_gem_dependencies     = true,
  Hash[String[1], String[1]]          $package_dependencies        = {},
  Boolean                             $manage_package_dependencies = true,
  Array[String[1]]                    $class_dependencies          = [],
  Boolean                             $manage_class_dependencies   = true,
  Boolean                             $client                      = $choria::client,
  Boolean                             $server                      = $choria::server,
  Enum['present', 'absent']           $ensure                      = 'present',
  String[1]                           $source_module               = $caller_module_name,
  Stdlib::Absolutepath                $libdir                      = $choria::libdir,
  Stdlib::Absolutepath                $configdir                   = $choria::configdir,
  Optional[String[1]]                 $owner                       = $choria::plugin_owner,
  Optional[String[1]]                 $group                       = $choria::plugin_group,
  Optional[Stdlib::Filemode]          $mode                        = $choria::plugin_mode,
  Optional[Stdlib::Filemode]          $executable_mode             = $choria::plugin_executable_mode,
  Enum['source', 'content']           $file_transfer_type          = $choria::plugin_file_transfer_type,
  Array[Variant[String[1], Hash]]     $gem_options                 = $choria::gem_options,
) {
  if $client or $server {
    $present = $ensure == 'present' and $choria::ensure == 'present'
    $file_ensure = $present ? {
      true    => file,
      default => absent,
    }

    # As the directories above are.
    $purge = pick(getvar('choria::plugins::purge'), false)

    $roles = ['common', 'client', 'server'].filter |$role| {
      $role == 'common' or ($role == 'client' and $client) or ($role == 'server' and $server)
    }
    $all_files = { 'common' => $common_files, 'client' => $client_files, 'server' => $server_files }
    $all_directories = { 'common' => $common_directories, 'client' => $client_directories, 'server' => $server_directories }
    $all_settings = { 'common' => $config, 'client' => $client_config, 'server' => $server_config }

    $files = unique($roles.map |$role| { $all_files[$role] }.flatten)
    $directories = unique($roles.map |$role| { $all_directories[$role] }.flatten)
    $settings = $roles.reduce({}) |$merged, $role| { deep_merge($merged, $all_settings[$role]) }

    # Names of agents and of the plugin; nodes with an agent are found by the tag of one of its files.
    $agent = $name ? {
      /\A(?:.*::)?mcollective_agent_(\w+)\z/ => $1,
      default                                => undef,
    }

    if $present {
      if $manage_class_dependencies and !$class_dependencies.empty {
        require $class_dependencies
      }
      $packages = $manage_package_dependencies ? {
        true    => $package_dependencies.map |$package, $version| { [$package, { 'ensure' => $version }] },
        default => [],
      }
      $gems = $manage_gem_dependencies ? {
        true    => $gem_dependencies.map |$gem, $version| {
          [$gem, {
              'ensure'          => $version,
              'provider'        => $choria::gem_provider,
              'source'          => $choria::gem_source,
              'install_options' => $gem_options,
          }]
        },
        default => [],
      }
      # Two plugins may need the same one.
      ($packages + $gems).each |$dependency| {
        unless defined(Package[$dependency[0]]) {
          package { $dependency[0]:
            * => $dependency[1],
          }
        }
      }
      $dependencies = ($packages + $gems).map |$dependency| { Package[$dependency[0]] }

      $directories.each |$directory| {
        unless defined(File["${libdir}/mcollective/${directory}"]) {
          file { "${libdir}/mcollective/${directory}":
            ensure  => directory,
            owner   => $owner,
            group   => $group,
            mode    => $mode,
            recurse => $purge,
            purge   => $purge,
            force   => $purge,
            require => $dependencies,
            notify  => $choria::notify_server,
          }
        }
      }
    } else {
      $dependencies = []
    }

    $files.each |$file| {
      $program = $file in $executable_files
      # Ruby agents, and programs that are agents: agent/NAME.rb, agent/NAME and agent/NAME/NAME-OS_ARCH.
      $found = $file ? {
        /\Aagent\/(\w+)(?:\.rb)?\z/           => $1,
        /\Aagent\/(\w+)\/\1(?:-\w+)?\z/       => $1,
        default                               => undef,
      }
      $tags = ($server and $found =~ NotUndef) ? {
        true    => ["mcollective_agent_${found}_server"],
        default => [],
      }
      $file_mode = $program ? {
        true    => $executable_mode,
        default => $mode,
      }
      $content = $file_transfer_type ? {
        'content' => { 'content' => file("${source_module}/mcollective/${file}") },
        default   => { 'source' => "puppet:///modules/${source_module}/mcollective/${file}" },
      }
      $body = $present ? {
        true    => $content,
        default => {},
      }

      file { "${libdir}/mcollective/${file}":
        ensure  => $file_ensure,
        owner   => $owner,
        group   => $group,
        mode    => $file_mode,
        require => $dependencies,
        notify  => $choria::notify_server,
        tag     => $tags,
        *       => $body,
      }
    }

    choria::settings_file { "${configdir}/plugin.d/${config_name}.cfg":
      ensure   => $ensure,
      settings => $settings,
      owner    => $owner,
      group    => $group,
    }

    if $agent and $server {
      choria::policy { $agent:
        ensure         => $ensure,
        policies       => $policies,
        policy_default => $policy_default,
        site_policies  => $site_policies,
        tags           => ["mcollective_agent_${agent}_server"],
      }
      if $rego_policy_source {
        file { "${configdir}/policies/rego/${agent}.rego":
          ensure => $file_ensure,
          owner  => $choria::config_user,
          group  => $choria::config_group,
          mode   => '0640',
          source => $rego_policy_source,
        }
      }
    }
  }
}
