# @summary The settings of streams
#
# @return The settings.
# @api private
function choria::broker_streams() >> Choria::Settings {
  $prefix = 'plugin.choria.network.stream'

  $choria::broker::stream_store ? {
    undef   => {},
    default => {
      "${prefix}.store"              => $choria::broker::stream_store,
      "${prefix}.advisory_retention" => $choria::broker::advisory_retention,
      "${prefix}.advisory_replicas"  => $choria::broker::advisory_replicas,
      "${prefix}.event_retention"    => $choria::broker::event_retention,
      "${prefix}.event_replicas"     => $choria::broker::event_replicas,
      "${prefix}.machine_retention"  => $choria::broker::machine_retention,
      "${prefix}.machine_replicas"   => $choria::broker::machine_replicas,
    },
  }
}
