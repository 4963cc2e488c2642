# @summary The directories of plugins, their settings, and the classes that fill them
#
# @param client
#   Whether plugins get their client parts.
# @param server
#   Whether plugins get their server parts.
# @param plugin_classes
#   Classes of plugins.
# @param plugin_classes_exclude
#   Those to leave out.
# @param libdir
#   Directory of plugins.
# @param plugintypes
#   Directories to make in it.
# @param required_directories
#   Directories to make before.
# @param purge
#   Whether to remove what is not managed.
# @param owner
#   Owner of the directories.
# @param group
#   Group of the directories.
# @param mode
#   Mode of plugins.
# @api private
class choria::plugins (
  Boolean                     $client,
  Boolean                     $server,
  Array[String[1]]            $plugin_classes,
  Array[String[1]]            $plugin_classes_exclude,
  Stdlib::Absolutepath        $libdir,
  Array[String[1]]            $plugintypes,
  Array[Stdlib::Absolutepath] $required_directories,
  Boolean                     $purge,
  Optional[String[1]]         $owner,
  Optional[String[1]]         $group,
  Optional[Stdlib::Filemode]  $mode,
) {
  choria::assert_family($title, $caller_module_name)

  $settings_directory = "${choria::configdir}/plugin.d"
  $directory = "${libdir}/mcollective"

  if $choria::ensure == 'present' {
    (($required_directories + [$libdir]) - $choria::required_directories).each |$required| {
      unless defined(File[$required]) {
        file { $required:
          ensure => directory,
          owner  => $owner,
          group  => $group,
        }
      }
    }
    file { [$directory, $settings_directory]:
      ensure  => directory,
      owner   => $owner,
      group   => $group,
      mode    => $mode,
      recurse => $purge,
      purge   => $purge,
      force   => $purge,
      notify  => $choria::notify_server,
    }
    # What is declared itself is not reached by the recursion from above.
    $plugintypes.each |$type| {
      file { "${directory}/${type}":
        ensure  => directory,
        owner   => $owner,
        group   => $group,
        mode    => $mode,
        recurse => $purge,
        purge   => $purge,
        force   => $purge,
        notify  => $choria::notify_server,
      }
    }
    Class['choria::config'] -> Class['choria::plugins'] -> Class[$choria::service_class]
  } else {
    if $purge {
      file { [$directory, $settings_directory]:
        ensure => absent,
        force  => true,
      }
    }
    Class['choria::install'] -> Class['choria::plugins']
  }

  choria::settings_file { "${settings_directory}/choria.cfg":
    settings => choria::shared_settings($client, $server),
    owner    => $owner,
    group    => $group,
  }

  $choria::plugins.each |$plugin, $parameters| {
    choria::plugin { $plugin:
      * => $parameters,
    }
  }

  # Classes of plugins from elsewhere have defaults that are variables of the class mcollective. It is given
  # what applies here: by itself it would take what Hiera has for it.
  if defined('mcollective') and !defined(Class['mcollective']) {
    class { 'mcollective':
      client                    => $client,
      server                    => $server,
      libdir                    => $libdir,
      plugin_owner              => $owner,
      plugin_group              => $group,
      plugin_mode               => $mode,
      plugin_executable_mode    => $choria::plugin_executable_mode,
      plugin_file_transfer_type => $choria::plugin_file_transfer_type,
      policy_default            => $choria::policy_default,
      site_policies             => $choria::site_policies,
      gem_provider              => $choria::gem_provider,
      gem_source                => $choria::gem_source,
      gem_options               => $choria::gem_options,
    }
  }

  # The bundled agents need no module, so that they are managed is not worth an error.
  $bundled = ['mcollective_agent_puppet', 'mcollective_agent_package', 'mcollective_agent_service', 'mcollective_agent_filemgr']
  $classes = ($plugin_classes - $plugin_classes_exclude).filter |$class| {
    !($class in $bundled) or defined($class)
  }
  contain $classes
}
