# @summary The file in which the Puppet agent of this node lists its classes
#
# Where the platform does not say, the agent does: the fact comes with stdlib.
#
# @return The path.
# @api private
function choria::classesfile() >> Stdlib::Absolutepath {
  $vardir = fact('puppet_vardir') ? {
    undef   => '/opt/puppetlabs/puppet/cache',
    default => fact('puppet_vardir'),
  }

  choria::platform('classesfile') ? {
    undef   => "${vardir}/state/classes.txt",
    default => choria::platform('classesfile'),
  }
}
