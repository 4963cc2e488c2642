# @summary What an item is on this platform
#
# @param item
#   The name of the item, see the type Choria::Platform.
# @return The value, possibly undef.
# @api private
function choria::platform(String[1] $item) {
  lookup('choria::platform', Choria::Platform, 'hash')[$item]
}
