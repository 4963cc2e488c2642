# @summary Warns of old keys in Hiera that have no effect because the new one is set too
#
# @return Nothing.
# @api private
function choria::warn_shadowed() {
  $names = [
    'server', 'client', 'collectives', 'main_collective', 'client_collectives', 'client_main_collective',
    'rubypath', 'plugin_classes_exclude', 'libdir', 'plugintypes', 'required_directories', 'purge',
    'plugin_owner', 'plugin_group', 'plugin_mode', 'plugin_executable_mode', 'plugin_file_transfer_type',
    'gem_provider', 'gem_source', 'gem_options', 'policy_default', 'site_policies', 'rpcutil_policies',
    'choria_util_policies', 'scout_policies', 'default_rego_policy_source', 'facts_refresh_type',
    'facts_refresh_interval', 'facts_file', 'facts_pidfile',
  ]

  $names.each |$name| {
    $old = lookup("mcollective::${name}", { 'default_value' => undef })
    if $old =~ NotUndef and lookup("choria::${name}", { 'default_value' => undef }) =~ NotUndef {
      warning("choria: Hiera has both choria::${name} and mcollective::${name}: the first is used, remove the second")
    }
  }
}
