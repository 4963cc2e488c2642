# @summary The settings of the server that need no data
#
# @return The settings.
# @api private
function choria::server_defaults() >> Hash[String[1], Data] {
  $configdir = $choria::configdir
  $ruby = 'plugin.choria.agent_provider.mcorpc'

  $defaults = {
    'plugin.actionpolicy.enable_default' => true,
    'classesfile'                        => $choria::classesfile,
    'rpcaudit'                           => 1,
    'rpcauthorization'                   => 1,
    'rpcauthprovider'                    => 'action_policy',
    'plugin.rpcaudit.logfile'            => "${choria::platform('logdir')}/choria-audit.log",
    'plugin.yaml'                        => $choria::facts_file,
    'plugin.choria.machine.store'        => "${configdir}/machine",
    'plugin.scout.overrides'             => "${configdir}/overrides.json",
    'plugin.choria.ruby.command'         => $choria::rubypath,
    "${ruby}.config"                     => "${configdir}/choria-shim.cfg",
    "${ruby}.libdir"                     => $choria::libdir,
  }
  $defaults
}
