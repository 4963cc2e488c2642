# @summary The old way to write a file of `key = value` lines
#
# @param settings
#   The settings.
# @param ensure
#   Whether there is such a file.
# @param owner
#   Owner of the file.
# @param group
#   Group of the file.
# @param mode
#   Mode of the file.
define mcollective::config_file (
  Hash                       $settings = {},
  Enum['present', 'absent']  $ensure   = 'present',
  Optional[String[1]]        $owner    = $mcollective::plugin_owner,
  Optional[String[1]]        $group    = $mcollective::plugin_group,
  Optional[Stdlib::Filemode] $mode     = $mcollective::plugin_mode,
) {
  file { $name:
    ensure  => $ensure,
    owner   => $owner,
    group   => $group,
    mode    => $mode,
    content => choria::config_file($settings),
  }
}
