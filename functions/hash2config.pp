# @summary Renders settings as the `key = value` lines of a configuration file
#
# Keys are sorted, so that the same settings always give the same text.
#
# @param settings
#   The settings. An array becomes one value with commas, undef leaves the key out. Nothing may be
#   Sensitive: the caller unwraps it, since it is the caller who has to keep the text secret.
#
# @return The lines, with a newline after the last one; nothing when there are no settings.
#
# @example
#   choria::hash2config({ 'loglevel' => 'warn', 'collectives' => ['mcollective', 'production'] })
#   # collectives = mcollective, production
#   # loglevel = warn
function choria::hash2config(
  Hash[
    Pattern[/\A[^\s=#][^\s=]*\z/],
    Optional[Variant[String, Numeric, Boolean, Array[Variant[String, Numeric]]]]
  ] $settings
) >> String {
  $lines = $settings
    .filter |$key, $value| { $value =~ NotUndef }
    .keys.sort
    .map |$key| { choria::config_line($key, $settings[$key]) }

  $lines.join('')
}
