# @summary The settings of the broker, in the order in which they are written
#
# @return Sections, each of a comment and its settings; those without settings are left out.
# @api private
function choria::broker_sections() >> Array[Tuple[String[1], Choria::Settings]] {
  $sections = [
    ['This process', {
        'logfile'  => $choria::broker_logfile,
        'loglevel' => $choria::broker_log_level,
        'identity' => $choria::broker::identity,
    }],
    ['Where SRV records are looked up', {
        'plugin.choria.srv_domain' => $choria::srvdomain,
    }],
    choria::broker_stats(),
    ['The network broker, which nodes and clients connect to', choria::broker_network()],
    ['Certificates', {
        'plugin.choria.ssldir' => choria::either($choria::broker::ssldir, $choria::ssldir),
    }],
    ['The NATS system account', choria::broker_system()],
    ['Streams', choria::broker_streams()],
    ['Provisioning', choria::broker_provisioning()],
    ['The federation broker, which carries requests from a federation to this site', choria::broker_federation()],
    ['Data adapters', choria::broker_adapters($choria::broker::adapters)],
    ['Leafnodes', choria::broker_leafnodes()],
    ['Other clusters', {
        'plugin.choria.network.gateway_name' => $choria::broker::cluster_name,
    }],
    ['Security', choria::broker_security()],
  ].map |$section| {
    [$section[0], $section[1].filter |$key, $value| { $value =~ NotUndef }]
  }

  $sections.each |$section| {
    $twice = $section[1].keys.filter |$key| { $key in $choria::broker::config }
    unless $twice.empty {
      fail("choria::broker: config has ${twice.join(', ')}, which parameters of the class set: use these")
    }
  }

  $further = ['Further settings', Hash($choria::broker::config.keys.sort.map |$key| { [$key, $choria::broker::config[$key]] })]

  ($sections + [$further]).filter |$section| { !$section[1].empty }
}
