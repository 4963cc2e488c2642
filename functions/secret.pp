# @summary Whether any of these settings is not for logs and reports
#
# A setting is when it is Sensitive, or when its name says that it is a password or the like.
#
# @param settings
#   The settings.
# @return True when the text made of them has to be Sensitive.
# @api private
function choria::secret(Hash[String, Any] $settings) >> Boolean {
  $settings.any |$key, $value| {
    $value =~ Sensitive or ($value =~ String[1] and $key =~ /(?:\A|[._])(?:password|passwd|pass|secret|token|seed)\z/)
  }
}
