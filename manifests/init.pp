# @summary Everything on a node that Choria manages, or on the machine of somebody who manages nodes
#
# Without any parameter this is a server: it connects to the brokers that SRV records or the name
# `puppet` lead to, with the certificate that Puppet gave the node, and lets nobody do anything but look.
#
# @example A node
#   include choria
#
# @example A machine that people use `mco` on, with its brokers named
#   class { 'choria':
#     client        => true,
#     shared_config => { 'middleware_hosts' => ['choria1.example.net:4222', 'choria2.example.net:4222'] },
#   }
#
# @param ensure
#   `absent` stops the services and removes the package, the configuration and the repository; logs,
#   certificates and streams are kept.
# @param version
#   Version of the package: `present`, `latest` or an exact one.
# @param package_name
#   Name of the package.
# @param package_source
#   Where the package comes from, for package providers that want to be told.
# @param manage_package
#   Whether to install the package.
# @param manage_package_repo
#   Whether to configure the repository that has the package. Only for Debian, Red Hat and what derives
#   from them.
# @param nightly_repo
#   Whether to have the repository of nightly builds too.
# @param repo_baseurl
#   Root of the repositories, as http, https or file: `<root>/apt`, `<root>/yum/$basearch`, and the signing
#   key in `<root>/release.asc`. Nightly builds are below `<root>/nightly`.
# @param repo_apt_location
#   Address of the APT repository, where it is not below the root; may be `mirror://`.
# @param repo_apt_release
#   Its release.
# @param repo_apt_components
#   Its components.
# @param repo_yum_baseurl
#   Address of the YUM repository, where it is not below the root.
# @param repo_yum_mirrorlist
#   Address of a list of mirrors of the YUM repository; in place of its address.
# @param repo_gpgkey
#   Where the signing key is, for a `file` resource.
# @param repo_gpgkey_content
#   The signing key as armored text; in place of `repo_gpgkey`.
# @param repo_gpgcheck
#   Whether the index of the YUM repository has to be signed. Packages always have to be.
# @param identity
#   Name of this node on the network.
# @param srvdomain
#   Domain that SRV records are looked up in.
# @param log_level
#   Least level that is logged.
# @param server_log_level
#   The same for the server alone.
# @param broker_log_level
#   The same for the broker alone.
# @param logfile
#   Where to log to: a file, `stdout`, `stderr` or `discard`.
# @param server_logfile
#   The same for the server alone.
# @param broker_logfile
#   The same for the broker alone.
# @param server_config_file
#   Configuration of the server. Plugin settings and policies are in directories beside it.
# @param broker_config_file
#   Configuration of the broker.
# @param client_config_file
#   Configuration of clients on this machine.
# @param statusfile
#   File that the server writes its state to.
# @param status_write_interval
#   Seconds between writing it; 0 writes none.
# @param config_user
#   Owner of configuration files.
# @param config_group
#   Group of configuration files.
# @param ssldir
#   Directory with Puppet's certificates. Undef lets the daemons find it.
# @param classesfile
#   File in which the Puppet agent lists the classes of this node.
# @param rubypath
#   Ruby that agents written in Ruby run in.
# @param server
#   Whether this node runs the server. When not, it is stopped and disabled.
# @param manage_service
#   Whether to manage services. When not, nothing is restarted either.
# @param server_service_name
#   Name of the server's service.
# @param broker_service_name
#   Name of the broker's service.
# @param server_service_enable
#   Whether the server starts at boot.
# @param manage_server_config
#   Whether to write the server's configuration. A node that is being provisioned gets it from elsewhere.
# @param server_config
#   Any settings of the server.
# @param collectives
#   Collectives that the server joins.
# @param main_collective
#   The one that is used where none is named; the last of them when undef.
# @param server_provisioning_token
#   Token that the server shows to a provisioner.
# @param server_provisioning_token_file
#   File that the token is written to.
# @param server_limits
#   Limits of the server's service; they need systemd.
# @param client
#   Whether people use this machine to manage others: plugins are installed with their client parts.
# @param client_config
#   Any settings of clients.
# @param client_collectives
#   Collectives that clients on this machine may address.
# @param client_main_collective
#   The one that is used where none is named; the last of them when undef.
# @param common_config
#   Settings of the server and of clients; those that are only for one of them win.
# @param shared_config
#   Settings of servers, brokers and clients on this machine, by names that lack `plugin.choria.`.
# @param manage_client_config
#   Whether to write the configuration of clients. Also done on servers, for tools that root uses there.
# @param manage_mcollective
#   Whether to manage plugins, policies and facts. When not, declare the class `mcollective` with what it
#   is to do about them.
# @param plugin_classes
#   Classes of plugins. Those of the bundled agents are passed over where their modules are not
#   installed.
# @param plugin_classes_exclude
#   Plugin classes to leave out.
# @param plugins
#   Resources of `choria::plugin`, by name.
# @param libdir
#   Directory of plugins.
# @param plugintypes
#   Directories to make below `<libdir>/mcollective`.
# @param required_directories
#   Directories to make before anything is put into them.
# @param purge
#   Whether to remove what Puppet does not manage from the directories of plugins, their settings and
#   policies.
# @param plugin_owner
#   Owner of plugins.
# @param plugin_group
#   Group of plugins.
# @param plugin_mode
#   Mode of plugins.
# @param plugin_executable_mode
#   Mode of plugins that are programs.
# @param plugin_file_transfer_type
#   `content` puts plugins into the catalog, for nodes that cannot fetch files.
# @param gem_provider
#   Package provider for Ruby libraries that plugins need.
# @param gem_source
#   Where these libraries come from.
# @param gem_options
#   Options for installing them.
# @param policy_default
#   What to do with requests that no policy speaks of.
# @param site_policies
#   Policies that apply to every agent, after its own.
# @param rpcutil_policies
#   Policies of the agent rpcutil.
# @param choria_util_policies
#   Policies of the agent choria_util.
# @param scout_policies
#   Policies of the agent scout.
# @param policies
#   Resources of `choria::policy`, by agent, for agents that no plugin class manages.
# @param groups
#   Groups of callers that policies can name: names, and the callers in them.
# @param default_rego_policy_source
#   Policy in the language Rego for agents that have none.
# @param facts_refresh_type
#   What writes the facts of this node at intervals: systemd or cron; `auto` takes what the node has, on
#   Windows its task scheduler; `none` manages nothing of it.
# @param facts_refresh_interval
#   Minutes between writing the facts; 0 only writes them when they are missing.
# @param facts_file
#   File that the facts are written to.
# @param facts_pidfile
#   File that keeps two from writing the facts at once.
# @param log_file
#   Deprecated, use `logfile`.
# @param broker_config
#   Deprecated, use `broker_config_file`.
# @param root_group
#   Deprecated, use `config_group`.
# @param mcollective_config_dir
#   Deprecated and without effect.
class choria (
  Array[String[1]] $plugin_classes,

  Enum['present', 'absent'] $ensure = 'present',

  String[1] $version = 'present',
  String[1] $package_name = choria::platform('package_name'),
  Optional[String[1]] $package_source = undef,
  Boolean $manage_package = choria::platform('manage_package'),
  Boolean $manage_package_repo = choria::has_repository(),
  Boolean $nightly_repo = false,
  Optional[String[1]] $repo_baseurl = choria::platform('repo_baseurl'),
  Optional[String[1]] $repo_apt_location = undef,
  String[1] $repo_apt_release = 'stable',
  String[1] $repo_apt_components = 'main',
  Optional[String[1]] $repo_yum_baseurl = undef,
  Optional[String[1]] $repo_yum_mirrorlist = undef,
  Optional[Variant[Stdlib::Filesource, Stdlib::HTTPUrl]] $repo_gpgkey = undef,
  Optional[String[1]] $repo_gpgkey_content = undef,
  Boolean $repo_gpgcheck = true,

  Optional[Choria::LogFile] $log_file = undef,
  Optional[Stdlib::Absolutepath] $broker_config = undef,
  Optional[String[1]] $root_group = undef,
  Optional[String] $mcollective_config_dir = undef,

  Choria::Identity $identity = $trusted['certname'],
  Optional[String[1]] $srvdomain = choria::domain(),
  Choria::LogLevel $log_level = 'warn',
  Choria::LogLevel $server_log_level = $log_level,
  Choria::LogLevel $broker_log_level = $log_level,
  Choria::LogFile $logfile = pick($log_file, "${choria::platform('logdir')}/choria.log"),
  Choria::LogFile $server_logfile = $logfile,
  Choria::LogFile $broker_logfile = $logfile,
  Stdlib::Absolutepath $server_config_file = "${choria::platform('configdir')}/server.conf",
  Stdlib::Absolutepath $broker_config_file = pick($broker_config, "${choria::platform('configdir')}/broker.conf"),
  Stdlib::Absolutepath $client_config_file = "${choria::platform('configdir')}/client.conf",
  Stdlib::Absolutepath $statusfile = "${choria::platform('logdir')}/choria-status.json",
  Integer[0] $status_write_interval = 30,
  Optional[String[1]] $config_user = choria::platform('user'),
  Optional[String[1]] $config_group = choria::either($root_group, choria::platform('group')),
  Optional[Stdlib::Absolutepath] $ssldir = choria::platform('ssldir'),
  Stdlib::Absolutepath $classesfile = choria::classesfile(),
  Stdlib::Absolutepath $rubypath = choria::legacy('mcollective::rubypath', choria::platform('rubypath')),

  Boolean $server = choria::legacy('mcollective::server', true),
  Boolean $manage_service = choria::platform('manage_service'),
  String[1] $server_service_name = 'choria-server',
  String[1] $broker_service_name = 'choria-broker',
  Boolean $server_service_enable = true,
  Boolean $manage_server_config = true,
  Choria::Settings $server_config = {},
  Array[Choria::Collective, 1] $collectives = choria::legacy('mcollective::collectives', ['mcollective'], 'unique'),
  Optional[Choria::Collective] $main_collective = choria::legacy('mcollective::main_collective', undef),
  Optional[Choria::Secret] $server_provisioning_token = undef,
  Stdlib::Absolutepath $server_provisioning_token_file = "${choria::platform('configdir')}/provisioning.jwt",
  Choria::ServiceLimits $server_limits = {},

  Boolean $client = choria::legacy('mcollective::client', false),
  Choria::Settings $client_config = {},
  Array[Choria::Collective, 1] $client_collectives = choria::legacy('mcollective::client_collectives', $collectives, 'unique'),
  Optional[Choria::Collective] $client_main_collective = choria::legacy('mcollective::client_main_collective', undef),
  Choria::Settings $common_config = {},
  Choria::Settings $shared_config = {},
  Boolean $manage_client_config = true,

  Boolean $manage_mcollective = true,
  Array[String[1]] $plugin_classes_exclude = choria::legacy('mcollective::plugin_classes_exclude', [], 'unique'),
  Hash[String[1], Hash] $plugins = {},
  Stdlib::Absolutepath $libdir = choria::legacy('mcollective::libdir', choria::platform('libdir')),
  Array[String[1]] $plugintypes = choria::legacy('mcollective::plugintypes', [
      'agent', 'aggregate', 'application', 'audit', 'connector', 'data', 'discovery', 'registration', 'security',
      'util', 'validator', 'pluginpackager',
  ]),
  Array[Stdlib::Absolutepath] $required_directories = choria::legacy(
    'mcollective::required_directories', choria::platform('required_directories')
  ),
  Boolean $purge = choria::legacy('mcollective::purge', true),
  Optional[String[1]] $plugin_owner = choria::legacy('mcollective::plugin_owner', choria::platform('user')),
  Optional[String[1]] $plugin_group = choria::legacy('mcollective::plugin_group', choria::platform('group')),
  Optional[Stdlib::Filemode] $plugin_mode = choria::legacy('mcollective::plugin_mode', '0644'),
  Optional[Stdlib::Filemode] $plugin_executable_mode = choria::legacy('mcollective::plugin_executable_mode', '0755'),
  Enum['source', 'content'] $plugin_file_transfer_type = choria::legacy('mcollective::plugin_file_transfer_type', 'source'),
  String[1] $gem_provider = choria::legacy('mcollective::gem_provider', choria::platform('gem_provider')),
  Optional[String[1]] $gem_source = choria::legacy('mcollective::gem_source', undef),
  Array[Variant[String[1], Hash]] $gem_options = choria::legacy('mcollective::gem_options', []),
  Choria::PolicyAction $policy_default = choria::legacy('mcollective::policy_default', 'deny'),
  Array[Choria::PolicyLine] $site_policies = choria::legacy('mcollective::site_policies', [], 'unique'),
  Array[Choria::PolicyLine] $rpcutil_policies = choria::legacy(
    'mcollective::rpcutil_policies', [{ 'action' => 'allow', 'actions' => 'ping' }], 'unique'
  ),
  Array[Choria::PolicyLine] $choria_util_policies = choria::legacy(
    'mcollective::choria_util_policies', [{ 'action' => 'allow', 'actions' => 'info' }], 'unique'
  ),
  Array[Choria::PolicyLine] $scout_policies = choria::legacy(
    'mcollective::scout_policies', [{ 'action' => 'allow', 'actions' => 'checks' }], 'unique'
  ),
  Hash[Pattern[/\A\w+\z/], Hash] $policies = {},
  Hash[Pattern[/\A[\w.-]+\z/], Array[Pattern[/\A\S+\z/]]] $groups = {},
  Stdlib::Filesource $default_rego_policy_source = choria::legacy(
    'mcollective::default_rego_policy_source', 'puppet:///modules/choria/default.rego'
  ),
  Enum['auto', 'systemd', 'cron', 'none'] $facts_refresh_type = choria::legacy('mcollective::facts_refresh_type', 'auto'),
  Integer[0, 60] $facts_refresh_interval = choria::legacy('mcollective::facts_refresh_interval', 10),
  Stdlib::Absolutepath $facts_file = choria::legacy(
    'mcollective::facts_file', "${choria::platform('configdir')}/generated-facts.yaml"
  ),
  Optional[Stdlib::Absolutepath] $facts_pidfile = choria::legacy('mcollective::facts_pidfile', choria::platform('facts_pidfile')),
) {
  $configdir = dirname($server_config_file)

  choria::warn_deprecated('choria', {
      'log_file'               => [$log_file, 'choria::logfile'],
      'broker_config'          => [$broker_config, 'choria::broker_config_file'],
      'root_group'             => [$root_group, 'choria::config_group'],
      'mcollective_config_dir' => [$mcollective_config_dir, undef],
  })
  choria::warn_shadowed()

  # The class service does not exist everywhere; a class service without resources restarts nothing.
  $runs_server = $server and $ensure == 'present'
  $notify_server = $runs_server ? {
    true    => Class['choria::service'],
    default => undef,
  }
  $service_class = $runs_server ? {
    true    => 'choria::service',
    default => 'choria::service_disable',
  }

  contain choria::install
  contain choria::config
  contain $service_class

  if $manage_package_repo {
    contain choria::repo
  }

  # A daemon goes on running when its package is removed, so it is stopped before.
  if $ensure == 'present' {
    Class['choria::install'] -> Class['choria::config'] -> Class[$service_class]
  } else {
    Class[$service_class] -> Class['choria::install'] -> Class['choria::config']
  }

  # A class mcollective that was declared before, with parameters of its own, does this itself.
  if $manage_mcollective and !defined(Class['mcollective']) {
    class { 'choria::plugins':
      client                 => $client,
      server                 => $server,
      plugin_classes         => unique($plugin_classes + choria::legacy('mcollective::plugin_classes', [], 'unique')),
      plugin_classes_exclude => $plugin_classes_exclude,
      libdir                 => $libdir,
      plugintypes            => $plugintypes,
      required_directories   => $required_directories,
      purge                  => $purge,
      owner                  => $plugin_owner,
      group                  => $plugin_group,
      mode                   => $plugin_mode,
    }
    class { 'choria::policies':
      server               => $server,
      purge                => $purge,
      policy_default       => $policy_default,
      site_policies        => $site_policies,
      rpcutil_policies     => $rpcutil_policies,
      choria_util_policies => $choria_util_policies,
      scout_policies       => $scout_policies,
      rego_policy_source   => $default_rego_policy_source,
    }
    class { 'choria::facts':
      refresh_type     => $facts_refresh_type,
      refresh_interval => $facts_refresh_interval,
      file             => $facts_file,
      pidfile          => $facts_pidfile,
      rubypath         => $rubypath,
    }
    class { 'choria::client_config':
      collectives     => $client_collectives,
      main_collective => $client_main_collective,
      common_config   => deep_merge(choria::legacy('mcollective::common_config', {}, 'deep'), $common_config),
      client_config   => deep_merge(choria::legacy('mcollective::client_config', {}, 'deep'), $client_config),
      libdir          => $libdir,
    }
    contain choria::plugins
    contain choria::policies
    contain choria::facts
    contain choria::client_config
  }
}
