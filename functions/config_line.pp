# @summary Renders one setting as a line of a configuration file
#
# @param key
#   The key.
# @param value
#   The value. The items of an array are joined with commas.
# @return The line with its newline.
# @api private
function choria::config_line(
  String[1] $key,
  Variant[String, Numeric, Boolean, Array[Variant[String, Numeric]]] $value
) >> String {
  $text = $value ? {
    Array   => $value.join(', '),
    default => String($value),
  }
  if $text =~ /[\r\n]/ {
    fail("choria: the value of ${key} has a newline: give it on one line")
  }

  # An empty value leaves a space at the end.
  $line = rstrip("${key} = ${text}")
  "${line}\n"
}
