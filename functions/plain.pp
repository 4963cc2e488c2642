# @summary A secret without its wrapping
#
# @param secret
#   The secret.
# @return Its text; undef when there is none.
# @api private
function choria::plain(Optional[Choria::Secret] $secret) >> Optional[String] {
  $secret ? {
    Sensitive => $secret.unwrap,
    default   => $secret,
  }
}
