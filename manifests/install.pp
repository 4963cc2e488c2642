# @summary The package
#
# @api private
class choria::install {
  assert_private()

  if $choria::manage_package {
    $ensure = $choria::ensure ? {
      'present' => $choria::version,
      default   => 'absent',
    }

    package { $choria::package_name:
      ensure => $ensure,
      source => $choria::package_source,
    }

    # A daemon goes on running the program it was started from, so a new one needs a restart.
    if $choria::notify_server {
      Package[$choria::package_name] ~> $choria::notify_server
    }
  }
}
