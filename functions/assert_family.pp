# @summary Fails unless this module or its companion mcollective makes the declaration
#
# @param name
#   The private class.
# @param caller
#   The module that declares it.
# @return Nothing.
# @api private
function choria::assert_family(String[1] $name, Optional[String] $caller) {
  unless $caller in ['choria', 'mcollective'] {
    fail("${name} is private: declare the class choria and set its parameters")
  }
}
