# @summary Warns of parameters that have another name now
#
# @param owner
#   The class that has them.
# @param parameters
#   Old names, each with its value and the full new name; undef when there is none.
# @return Nothing.
# @api private
function choria::warn_deprecated(String[1] $owner, Hash[String[1], Tuple[Any, Optional[String[1]]]] $parameters) {
  $parameters.each |$name, $pair| {
    [$value, $new] = $pair
    if $value =~ NotUndef {
      $cure = $new ? {
        undef   => 'it has no effect, remove it',
        default => "use ${new}",
      }
      warning("${owner}: the parameter ${name} is deprecated: ${cure}")
    }
  }
}
