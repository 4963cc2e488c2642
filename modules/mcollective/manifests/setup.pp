# @summary Lets the class choria do what the class mcollective says
#
# @api private
define mcollective::setup {
  assert_private()
  include choria

  # Declared already by the class choria, this class has its parameters from there.
  unless defined(Class['choria::plugins']) {
    $old_classes = choria::legacy('mcollective::plugin_classes', [], 'unique')

    class { 'choria::plugins':
      client                 => $mcollective::client,
      server                 => $mcollective::server,
      plugin_classes         => unique($mcollective::plugin_classes + $old_classes),
      plugin_classes_exclude => $mcollective::plugin_classes_exclude,
      libdir                 => $mcollective::libdir,
      plugintypes            => $mcollective::plugintypes,
      required_directories   => $mcollective::required_directories,
      purge                  => $mcollective::purge,
      owner                  => $mcollective::plugin_owner,
      group                  => $mcollective::plugin_group,
      mode                   => $mcollective::plugin_mode,
    }
    class { 'choria::policies':
      server               => $mcollective::server,
      purge                => $mcollective::purge,
      policy_default       => $mcollective::policy_default,
      site_policies        => $mcollective::site_policies,
      rpcutil_policies     => $mcollective::rpcutil_policies,
      choria_util_policies => $mcollective::choria_util_policies,
      scout_policies       => $mcollective::scout_policies,
      rego_policy_source   => $mcollective::default_rego_policy_source,
    }
    class { 'choria::facts':
      refresh_type     => $mcollective::facts_refresh_type,
      refresh_interval => $mcollective::facts_refresh_interval,
      file             => $choria::facts_file,
      pidfile          => $mcollective::facts_pidfile,
      rubypath         => $mcollective::rubypath,
    }
    class { 'choria::client_config':
      collectives     => $mcollective::client_collectives,
      main_collective => $mcollective::client_main_collective,
      common_config   => $mcollective::common_config,
      client_config   => $mcollective::client_config,
      libdir          => $mcollective::libdir,
    }
    contain choria::plugins
    contain choria::policies
    contain choria::facts
    contain choria::client_config
  }
}
