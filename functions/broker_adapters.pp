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
    $parts = ['stream', 'ingest'].map |$part| {
      $keys = ($adapter[$part].keys - ['type']).sort
      Hash($keys.map |$key| { ["${prefix}.${part}.${key}", $adapter[$part][$key]] })
    }

    $all + {
      "${prefix}.type"      => choria::adapter_type($name, $adapter),
      "${prefix}.queue_len" => $adapter['queue_len'],
    } + $parts[0] + $parts[1]
  }

  $names ? {
    []      => {},
    default => { 'plugin.choria.adapters' => $names.join(',') } + $settings,
  }
}
