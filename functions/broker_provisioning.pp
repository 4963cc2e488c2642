# @summary The settings of provisioning
#
# @return The settings.
# @api private
function choria::broker_provisioning() >> Choria::Settings {
  $prefix = 'plugin.choria.network.provisioning'
  $signer = $choria::broker::provisioning_signer_source ? {
    ''      => undef,
    default => $choria::broker::signer,
  }

  choria::plain($choria::broker::provisioner_password) ? {
    ''      => {},
    default => {
      "${prefix}.client_password" => $choria::broker::provisioner_password,
      "${prefix}.signer_cert"     => $signer,
    },
  }
}
