# @summary The type of a data adapter, wherever it stands
#
# @param name
#   The name of the adapter.
# @param adapter
#   The adapter.
# @return The type, as the broker knows it.
# @api private
function choria::adapter_type(String[1] $name, Hash $adapter) >> String[1] {
  $types = unique([$adapter['type'], $adapter['stream']['type']].filter |$type| { $type =~ NotUndef }.map |$type| {
      regsubst($type, '\Anatsstream\z', 'nats_stream')
  })

  if $types.length > 1 {
    fail("choria::broker: the adapter ${name} has the type ${types[0]}, and ${types[1]} below stream: say it once")
  }

  # Only NATS Streaming has a cluster id.
  $default = 'clusterid' in $adapter['stream'] ? {
    true    => 'nats_stream',
    default => 'choria_streams',
  }
  pick($types[0], $default)
}
