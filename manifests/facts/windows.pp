# @summary Writes the facts by the task scheduler of Windows
#
# @param ensure
#   Whether to.
# @param interval
#   Minutes between.
# @param script
#   What writes them.
# @param rubypath
#   Ruby that it runs in.
# @api private
class choria::facts::windows (
  Enum['present', 'absent'] $ensure,
  Integer[0, 60]            $interval,
  Stdlib::Absolutepath      $script,
  Stdlib::Absolutepath      $rubypath,
) {
  assert_private()

  if $ensure == 'present' {
    $offset = fqdn_rand($interval, 'choria facts')

    scheduled_task { 'choria facts':
      ensure    => present,
      command   => $rubypath,
      arguments => "\"${script}\"",
      trigger   => {
        'schedule'         => 'daily',
        'start_time'       => sprintf('00:%02d', $offset),
        'minutes_interval' => $interval,
        'minutes_duration' => 1440,
      },
    }
  } else {
    scheduled_task { 'choria facts':
      ensure => absent,
    }
  }
}
