# @summary Whether there is a repository for this platform whose address the module knows
#
# @return True when there is.
# @api private
function choria::has_repository() >> Boolean {
  choria::platform('repo_baseurl') =~ NotUndef and $facts['os']['family'] in ['Debian', 'RedHat']
}
