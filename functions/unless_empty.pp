# @summary A value, or undef when it is empty
#
# @param value
#   The value.
# @return The value.
# @api private
function choria::unless_empty(Optional[Variant[String, Array, Boolean]] $value) {
  $value ? {
    ''      => undef,
    []      => undef,
    default => $value,
  }
}
