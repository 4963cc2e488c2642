# @summary Settings without the wrapping of those that are Sensitive
#
# The text made of them has to be Sensitive when `choria::secret` says so.
#
# @param settings
#   The settings.
# @return The same settings, nothing of them Sensitive.
# @api private
function choria::unwrap(Hash[String, Any] $settings) >> Hash {
  Hash($settings.map |$key, $value| {
      $plain = $value ? {
        Sensitive => $value.unwrap,
        default   => $value,
      }
      [$key, $plain]
  })
}
