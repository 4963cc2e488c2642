# @summary The name of the environment, when it can be the name of a cluster
#
# @return The name, or undef.
# @api private
function choria::cluster_name() >> Optional[Choria::ClusterName] {
  $environment ? {
    Choria::ClusterName => $environment,
    default             => undef,
  }
}
