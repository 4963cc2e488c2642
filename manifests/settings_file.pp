# @summary The settings of one plugin in `plugin.d`
#
# There is no file when there are no settings.
#
# @param settings
#   The settings, by names that lack the prefix of the plugin.
# @param ensure
#   Whether there may be a file.
# @param owner
#   Owner of the file.
# @param group
#   Group of the file.
# @param mode
#   Mode of the file.
# @api private
define choria::settings_file (
  Choria::Settings           $settings,
  Enum['present', 'absent']  $ensure = 'present',
  Optional[String[1]]        $owner  = undef,
  Optional[String[1]]        $group  = undef,
  Stdlib::Filemode           $mode   = '0644',
) {
  assert_private()

  if $ensure == 'absent' or $choria::ensure == 'absent' {
    file { $name:
      ensure => absent,
      notify => $choria::notify_server,
    }
  } elsif !$settings.empty {
    file { $name:
      ensure  => file,
      owner   => $owner,
      group   => $group,
      mode    => $mode,
      content => choria::config_file($settings),
      notify  => $choria::notify_server,
    }
  }
}
