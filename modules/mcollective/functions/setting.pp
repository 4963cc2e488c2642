# @summary The value that the class choria has for a parameter
#
# Where the class has not been declared yet, it is what Hiera has for it: this class may come first.
#
# @param name
#   The parameter.
# @param default
#   The value where nothing is set.
# @return The value.
# @api private
function mcollective::setting(String[1] $name, Any $default) {
  if defined(Class['choria']) {
    getvar("choria::${name}")
  } else {
    lookup("choria::${name}", { 'default_value' => $default })
  }
}
