# @summary The settings of leafnodes
#
# @return The settings.
# @api private
function choria::broker_leafnodes() >> Choria::Settings {
  $remotes = $choria::broker::leafnode_upstreams
  $names = $remotes.keys.sort

  $settings = $names.reduce({}) |$all, $name| {
    $remote = $remotes[$name]
    $prefix = "plugin.choria.network.leafnode_remote.${name}"
    $plain = Hash(['url', 'account', 'credentials'].map |$key| { ["${prefix}.${key}", choria::unless_empty($remote[$key])] })
    $tls = Hash(['cert', 'key', 'ca', 'verify', 'disable'].map |$key| {
        ["${prefix}.tls.${key}", choria::unless_empty($remote.dig('tls', $key))]
    })

    $all + $plain + $tls
  }

  $listener = {
    'plugin.choria.network.leafnode_port'    => choria::unless_zero($choria::broker::leafnode_port),
    'plugin.choria.network.leafnode_remotes' => choria::unless_empty($names),
  }
  $listener + $settings
}
