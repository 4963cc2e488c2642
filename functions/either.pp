# @summary The first of two values that is not undef
#
# @param first
#   One.
# @param second
#   The other.
# @return The first, or the second, which may be undef.
# @api private
function choria::either(Any $first, Any $second) {
  $first ? {
    undef   => $second,
    default => $first,
  }
}
