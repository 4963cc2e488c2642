# @summary The value of a key that the modules before this one used
#
# Used as the default of a parameter, so it is only asked where the parameter has no value of its own.
# The old modules need not be installed.
#
# @param key
#   The old key.
# @param default
#   The value where it is not set either.
# @param merge
#   How the levels of the hierarchy are merged.
# @return The value.
# @api private
function choria::legacy(String[1] $key, Any $default, Enum['first', 'unique', 'deep'] $merge = 'first') {
  lookup($key, { 'merge' => $merge, 'default_value' => $default })
}
