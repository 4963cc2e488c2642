# @summary Writes the facts by cron
#
# A file of its own rather than an entry of a crontab: it can be removed where there is no cron.
#
# @param ensure
#   Whether to.
# @param interval
#   Minutes between; those that do not divide an hour begin anew each hour.
# @param script
#   What writes them.
# @param rubypath
#   Ruby that it runs in.
# @api private
class choria::facts::cron (
  Enum['present', 'absent'] $ensure,
  Integer[0, 60]            $interval,
  Stdlib::Absolutepath      $script,
  Stdlib::Absolutepath      $rubypath,
) {
  assert_private()

  $file = '/etc/cron.d/choria-facts'

  if $ensure == 'present' {
    $minutes = Array(Integer[fqdn_rand($interval, 'choria facts'), 59].step($interval)).join(',')

    file { $file:
      ensure  => file,
      owner   => 'root',
      group   => $choria::config_group,
      mode    => '0644',
      content => "# Managed by Puppet: changes made here are lost\n${minutes} * * * * root '${rubypath}' '${script}'\n",
    }
  } else {
    file { $file:
      ensure => absent,
    }
  }
}
