# @summary The text of a configuration file
#
# @param settings
#   The settings. One that is Sensitive makes the whole text so.
# @return The text, which begins by saying that Puppet manages it.
# @api private
function choria::config_file(Choria::Settings $settings) >> Variant[String, Sensitive[String]] {
  $text = "# Managed by Puppet: changes made here are lost\n${choria::hash2config(choria::unwrap($settings))}"

  choria::secret($settings) ? {
    true    => Sensitive($text),
    default => $text,
  }
}
