# @summary The settings of data adapters
#
# @param adapters
#   The adapters.
# @return The settings.
# @api private
function choria::broker_adapters(Choria::Adapters $adapters) >> Choria::Settings {
  $names = $adapters.keys.sort

  $settings = $names.reduce({}) |$all, $name| {
    $adapter = $adapters[$name]
    $prefix = "plugin.choria.adapter.${name}"
    $parts = ['spill', 'stream', 'ingest'].map |$part| {
      $values = pick($adapter[$part], {})
      Hash(($values.keys - ['type']).sort.map |$key| { ["${prefix}.${part}.${key}", $values[$key]] })
    }

    $all + {
      "${prefix}.type"         => choria::adapter_type($name, $adapter),
      "${prefix}.queue_len"    => $adapter['queue_len'],
      "${prefix}.dead_letters" => $adapter['dead_letters'],
    } + $parts[0] + $parts[1] + $parts[2]
  }

  $names ? {
    []      => {},
    default => { 'plugin.choria.adapters' => $names.join(',') } + $settings,
  }
}
