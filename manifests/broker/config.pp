# @summary The configuration of the broker
#
# @api private
class choria::broker::config {
  assert_private()

  if $choria::ensure == 'absent' {
    file { [$choria::broker_config_file, $choria::broker::signer]:
      ensure => absent,
    }
  } else {
    $sections = choria::broker_sections()
    $settings = $sections.reduce({}) |$all, $section| { $all + $section[1] }
    $text = epp('choria/broker.conf.epp', {
        'sections' => $sections.map |$section| { [$section[0], choria::unwrap($section[1])] },
    })
    $content = choria::secret($settings) ? {
      true    => Sensitive($text),
      default => $text,
    }

    unless defined(File[$choria::broker::configdir]) {
      file { $choria::broker::configdir:
        ensure => directory,
        owner  => $choria::config_user,
        group  => $choria::config_group,
      }
    }

    file { $choria::broker_config_file:
      ensure  => file,
      owner   => $choria::config_user,
      group   => $choria::config_group,
      mode    => '0640',
      content => $content,
    }

    unless $choria::broker::provisioning_signer_source.empty {
      file { $choria::broker::signer:
        ensure => file,
        owner  => $choria::config_user,
        group  => $choria::config_group,
        mode   => '0644',
        source => $choria::broker::provisioning_signer_source,
      }
    }

    choria::broker_directories().each |$directory| {
      file { $directory:
        ensure => directory,
        owner  => $choria::config_user,
        group  => $choria::config_group,
        mode   => '0750',
      }
    }
  }
}
