# @summary The domain of this node
#
# @return The domain, undef when the node has none.
# @api private
function choria::domain() >> Optional[String[1]] {
  $facts['networking']['domain'] ? {
    String[1] => $facts['networking']['domain'],
    default   => undef,
  }
}
