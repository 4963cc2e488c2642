# @summary The old name of what the class choria does about plugins, policies and facts
#
# Its parameters are those of the class choria, in whose place they stand when this class is declared with
# them; `class { 'choria': manage_mcollective => false }` says that it will be. What is not set is as the
# class choria has it, so that `include mcollective` is `include choria`.
#
# @example As profiles have it
#   class { 'choria': manage_mcollective => false }
#   class { 'mcollective':
#     client        => true,
#     site_policies => [{ 'action' => 'allow', 'callers' => 'choria=operator.mcollective' }],
#   }
#
# @param client
#   Whether people use this machine to manage others.
# @param server
#   Whether this node runs the server.
# @param collectives
#   Collectives that the server joins; set those of the class choria.
# @param main_collective
#   The one that is used where none is named.
# @param client_collectives
#   Collectives that clients may address.
# @param client_main_collective
#   The one that clients use where none is named.
# @param common_config
#   Settings of the server and of clients.
# @param client_config
#   Settings of clients.
# @param plugin_classes
#   Classes of plugins.
# @param plugin_classes_exclude
#   Plugin classes to leave out.
# @param libdir
#   Directory of plugins.
# @param rubypath
#   Ruby that agents written in Ruby run in.
# @param plugintypes
#   Directories to make below `<libdir>/mcollective`.
# @param required_directories
#   Directories to make before.
# @param purge
#   Whether to remove what Puppet does not manage.
# @param plugin_owner
#   Owner of plugins.
# @param plugin_group
#   Group of plugins.
# @param plugin_mode
#   Mode of plugins.
# @param plugin_executable_mode
#   Mode of plugins that are programs.
# @param plugin_file_transfer_type
#   `content` puts plugins into the catalog.
# @param gem_provider
#   Package provider for Ruby libraries.
# @param gem_source
#   Where these libraries come from.
# @param gem_options
#   Options for installing them.
# @param policy_default
#   What to do with requests that no policy speaks of.
# @param site_policies
#   Policies that apply to every agent.
# @param rpcutil_policies
#   Policies of the agent rpcutil.
# @param choria_util_policies
#   Policies of the agent choria_util.
# @param scout_policies
#   Policies of the agent scout.
# @param default_rego_policy_source
#   Policy in the language Rego for agents that have none.
# @param facts_refresh_type
#   What writes the facts of this node.
# @param facts_refresh_interval
#   Minutes between writing them.
# @param facts_pidfile
#   File that keeps two from writing them at once.
# @param server_config
#   Settings of the server; set `choria::server_config`. From Hiera they are merged below it.
# @param configdir
#   Without effect: it is where the configuration of the server is.
# @param bindir
#   Without effect.
# @param manage_bin_symlinks
#   Without effect.
# @param manage_package
#   Without effect: set `choria::manage_package`.
# @param package_name
#   Without effect: set `choria::package_name`.
# @param package_ensure
#   Without effect: set `choria::version`.
# @param service_name
#   Without effect: set `choria::server_service_name`.
# @param service_ensure
#   Without effect: set `choria::server`.
# @param service_enable
#   Without effect: set `choria::server_service_enable`.
class mcollective (
  Boolean $client = mcollective::setting('client', false),
  Boolean $server = mcollective::setting('server', true),
  Array[Choria::Collective, 1] $collectives = mcollective::setting('collectives', ['mcollective']),
  Optional[Choria::Collective] $main_collective = mcollective::setting('main_collective', undef),
  Array[Choria::Collective, 1] $client_collectives = mcollective::setting('client_collectives', $collectives),
  Optional[Choria::Collective] $client_main_collective = mcollective::setting('client_main_collective', undef),
  Choria::Settings $common_config = mcollective::setting('common_config', {}),
  Choria::Settings $client_config = mcollective::setting('client_config', {}),
  Array[String[1]] $plugin_classes = mcollective::setting('plugin_classes', []),
  Array[String[1]] $plugin_classes_exclude = mcollective::setting('plugin_classes_exclude', []),
  Stdlib::Absolutepath $libdir = mcollective::setting('libdir', choria::platform('libdir')),
  Stdlib::Absolutepath $rubypath = mcollective::setting('rubypath', choria::platform('rubypath')),
  Array[String[1]] $plugintypes = mcollective::setting(
    'plugintypes', [
      'agent', 'aggregate', 'application', 'audit', 'connector', 'data', 'discovery', 'registration', 'security',
      'util', 'validator', 'pluginpackager',
  ]
  ),
  Array[Stdlib::Absolutepath] $required_directories = mcollective::setting(
    'required_directories', choria::platform('required_directories')
  ),
  Boolean $purge = mcollective::setting('purge', true),
  Optional[String[1]] $plugin_owner = mcollective::setting('plugin_owner', choria::platform('user')),
  Optional[String[1]] $plugin_group = mcollective::setting('plugin_group', choria::platform('group')),
  Optional[Stdlib::Filemode] $plugin_mode = mcollective::setting('plugin_mode', '0644'),
  Optional[Stdlib::Filemode] $plugin_executable_mode = mcollective::setting('plugin_executable_mode', '0755'),
  Enum['source', 'content'] $plugin_file_transfer_type = mcollective::setting('plugin_file_transfer_type', 'source'),
  String[1] $gem_provider = mcollective::setting('gem_provider', choria::platform('gem_provider')),
  Optional[String[1]] $gem_source = mcollective::setting('gem_source', undef),
  Array[Variant[String[1], Hash]] $gem_options = mcollective::setting('gem_options', []),
  Mcollective::Policy_action $policy_default = mcollective::setting('policy_default', 'deny'),
  Array[Mcollective::Policy] $site_policies = mcollective::setting('site_policies', []),
  Array[Mcollective::Policy] $rpcutil_policies = mcollective::setting('rpcutil_policies', [{ 'action' => 'allow', 'actions' => 'ping' }]),
  Array[Mcollective::Policy] $choria_util_policies = mcollective::setting(
    'choria_util_policies', [{ 'action' => 'allow', 'actions' => 'info' }]
  ),
  Array[Mcollective::Policy] $scout_policies = mcollective::setting('scout_policies', [{ 'action' => 'allow', 'actions' => 'checks' }]),
  Stdlib::Filesource $default_rego_policy_source = mcollective::setting(
    'default_rego_policy_source', 'puppet:///modules/choria/default.rego'
  ),
  Enum['auto', 'systemd', 'cron', 'none'] $facts_refresh_type = mcollective::setting('facts_refresh_type', 'auto'),
  Integer[0, 60] $facts_refresh_interval = mcollective::setting('facts_refresh_interval', 10),
  Optional[Stdlib::Absolutepath] $facts_pidfile = mcollective::setting('facts_pidfile', choria::platform('facts_pidfile')),
  Hash $server_config = {},
  Any $configdir = undef,
  Any $bindir = undef,
  Any $manage_bin_symlinks = undef,
  Any $manage_package = undef,
  Any $package_name = undef,
  Any $package_ensure = undef,
  Any $service_name = undef,
  Any $service_ensure = undef,
  Any $service_enable = undef,
) {
  choria::warn_deprecated('mcollective', {
      'bindir'              => [$bindir, undef],
      'configdir'           => [$configdir, undef],
      'manage_bin_symlinks' => [$manage_bin_symlinks, undef],
      'manage_package'      => [$manage_package, 'choria::manage_package'],
      'package_name'        => [$package_name, 'choria::package_name'],
      'package_ensure'      => [$package_ensure, 'choria::version'],
      'service_name'        => [$service_name, 'choria::server_service_name'],
      'service_ensure'      => [$service_ensure, 'choria::server'],
      'service_enable'      => [$service_enable, 'choria::server_service_enable'],
  })

  # The class choria may be declared after this one, with parameters that only it knows; a define is
  # evaluated when all of that has been.
  mcollective::setup { 'mcollective': }
}
