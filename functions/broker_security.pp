# @summary The settings of the security provider
#
# @return The settings.
# @api private
function choria::broker_security() >> Choria::Settings {
  $issuer = $choria::broker::issuer ? {
    undef   => {},
    default => {
      'plugin.security.issuer.names'                                  => $choria::broker::issuer['name'],
      "plugin.security.issuer.${choria::broker::issuer['name']}.public" => $choria::broker::issuer['public'],
    },
  }

  $settings = $choria::broker::choria_security ? {
    undef   => $choria::broker::file_security,
    default => $choria::broker::choria_security,
  }
  $provider = $choria::broker::choria_security ? {
    undef   => 'file',
    default => 'choria',
  }
  $security = $settings ? {
    undef   => {},
    default => { 'plugin.security.provider' => $provider } + Hash($settings.keys.sort.map |$key| {
        ["plugin.security.${provider}.${key}", $settings[$key]]
    }),
  }

  $issuer + $security
}
