# @summary Refuses parameters of choria::broker that contradict each other
#
# @return Nothing.
# @api private
function choria::check_broker() {
  $b = 'choria::broker'

  unless $choria::broker::network_broker or $choria::broker::federation_broker or !$choria::broker::adapters.empty {
    fail("${b}: it would have nothing to run: set network_broker, federation_broker or adapters")
  }
  if $choria::broker::federation_broker and $choria::broker::federation_cluster == undef {
    fail("${b}: federation_broker is true, but federation_cluster is not set: give a cluster name")
  }

  choria::check_ports()

  $pairs = {
    'system' => [$choria::broker::system_user, choria::plain($choria::broker::system_password)],
    'peer'   => [$choria::broker::peer_user, choria::plain($choria::broker::peer_password)],
  }
  $pairs.each |$name, $pair| {
    $given = $pair.map |$value| { $value =~ String[1] }
    if $given[0] != $given[1] {
      fail("${b}: only one of ${name}_user and ${name}_password is set: set both or none")
    }
  }

  unless $choria::broker::provisioning_signer_source.empty or choria::plain($choria::broker::provisioner_password) =~ String[1] {
    fail("${b}: provisioning_signer_source is set without provisioner_password: set both")
  }
  if $choria::broker::choria_security and !$choria::broker::issuer {
    fail("${b}: choria_security is set without issuer: set the organization whose tokens are trusted")
  }
  if $choria::broker::choria_security and $choria::broker::file_security {
    fail("${b}: choria_security and file_security are both set: unset one of them")
  }

  choria::warn_broker()
}
