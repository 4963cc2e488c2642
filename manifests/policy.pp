# @summary Who may do what with one agent
#
# For agents whose plugin no class manages; `choria::plugin` makes those of the plugins it manages.
#
# @example Operators may do everything, others only look
#   choria::policy { 'backup':
#     policies => [
#       { 'action' => 'allow', 'callers' => 'choria=operator.mcollective' },
#       { 'action' => 'allow', 'actions' => ['status', 'list'] },
#     ],
#   }
#
# @param policies
#   The lines of the policy; the first that matches decides.
# @param policy_default
#   What to do with requests that no line matches.
# @param site_policies
#   Lines that come after those.
# @param ensure
#   Whether there is a policy.
# @param tags
#   Tags of the file, for queries of PuppetDB.
define choria::policy (
  Array[Choria::PolicyLine]      $policies       = [],
  Choria::PolicyAction       $policy_default = $choria::policy_default,
  Array[Choria::PolicyLine]      $site_policies  = $choria::site_policies,
  Enum['present', 'absent']  $ensure         = 'present',
  Array[String[1]]           $tags           = [],
) {
  unless $name =~ /\A\w+\z/ {
    fail("choria::policy: ${name} is not the name of an agent: letters, digits and _ make one")
  }

  $file_ensure = ($ensure == 'present' and $choria::ensure == 'present') ? {
    true    => file,
    default => absent,
  }

  file { "${choria::configdir}/policies/${name}.policy":
    ensure  => $file_ensure,
    owner   => $choria::config_user,
    group   => $choria::config_group,
    mode    => '0640',
    content => epp('choria/policy.epp', {
        'agent'          => $name,
        'policies'       => $policies,
        'policy_default' => $policy_default,
        'site_policies'  => $site_policies,
    }),
    tag     => $tags,
  }
}
