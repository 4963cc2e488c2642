# @summary A port, or undef for 0
#
# @param port
#   The port.
# @return The port.
# @api private
function choria::unless_zero(Choria::OptionalPort $port) >> Optional[Stdlib::Port] {
  $port ? {
    0       => undef,
    default => $port,
  }
}
