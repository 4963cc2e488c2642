# @summary The section of broker.conf about statistics
#
# @return The comment and the settings.
# @api private
function choria::broker_stats() >> Tuple[String[1], Choria::Settings] {
  $paths = '/choria and /choria/prometheus are about this process, /varz, /connz and /routez about NATS'

  $choria::broker::stats_port ? {
    0       => ['Statistics', {}],
    default => ["Statistics, over HTTP:\n${paths}", {
        'plugin.choria.stats_address' => $choria::broker::stats_listen_address,
        'plugin.choria.stats_port'    => $choria::broker::stats_port,
    }],
  }
}
