# @summary The settings of the federation broker
#
# @return The settings.
# @api private
function choria::broker_federation() >> Choria::Settings {
  $choria::broker::federation_broker ? {
    true    => {
      'plugin.choria.broker_federation'           => true,
      'plugin.choria.federation.cluster'          => $choria::broker::federation_cluster,
      'plugin.choria.federation.instance'         => $choria::broker::federation_instance,
      'plugin.choria.federation_middleware_hosts' => choria::unless_empty($choria::broker::federation_middleware_hosts),
      'plugin.choria.middleware_hosts'            => choria::unless_empty($choria::broker::collective_middleware_hosts),
    },
    default => {},
  }
}
