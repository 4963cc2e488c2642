# @summary Who may do what
#
# Only nodes that run the server have policies.
#
# @param server
#   Whether this node runs the server.
# @param purge
#   Whether to remove policies that are not managed.
# @param policy_default
#   What to do with requests that no policy speaks of.
# @param site_policies
#   Policies that apply to every agent.
# @param rpcutil_policies
#   Policies of the agent rpcutil.
# @param choria_util_policies
#   Policies of the agent choria_util.
# @param scout_policies
#   Policies of the agent scout.
# @param rego_policy_source
#   Policy in the language Rego for agents that have none.
# @api private
class choria::policies (
  Boolean                     $server,
  Boolean                     $purge,
  Choria::PolicyAction        $policy_default,
  Array[Choria::PolicyLine]       $site_policies,
  Array[Choria::PolicyLine]       $rpcutil_policies,
  Array[Choria::PolicyLine]       $choria_util_policies,
  Array[Choria::PolicyLine]       $scout_policies,
  Stdlib::Filesource           $rego_policy_source,
) {
  choria::assert_family($title, $caller_module_name)

  $directory = "${choria::configdir}/policies"
  $groups = "${directory}/groups"

  if $policy_default == 'allow' {
    warning('choria: policy_default is allow: everybody with a certificate may do what no policy forbids')
  }

  if $choria::ensure == 'absent' {
    if $purge {
      file { $directory:
        ensure => absent,
        force  => true,
      }
    } else {
      file { [$groups, "${directory}/rego/default.rego"]:
        ensure => absent,
      }
    }
    Class['choria::install'] -> Class['choria::policies']
  } elsif $server {
    file { [$directory, "${directory}/rego"]:
      ensure  => directory,
      owner   => $choria::config_user,
      group   => $choria::config_group,
      mode    => '0750',
      recurse => $purge,
      purge   => $purge,
      force   => $purge,
    }
    concat { $groups:
      ensure => present,
      owner  => $choria::config_user,
      group  => $choria::config_group,
      mode   => '0640',
    }
    concat::fragment { 'choria groups':
      target  => $groups,
      order   => '0',
      content => "# Managed by Puppet: changes made here are lost\n",
    }
    file { "${directory}/rego/default.rego":
      ensure => file,
      owner  => $choria::config_user,
      group  => $choria::config_group,
      mode   => '0640',
      source => $rego_policy_source,
    }
    Class['choria::config'] -> Class['choria::policies'] -> Class[$choria::service_class]
  }

  if $server {
    # The last is for agents without a file of their own, such as those that the server brings along: what is
    # said for every agent is said for them too.
    $builtin = {
      'rpcutil'     => $rpcutil_policies,
      'choria_util' => $choria_util_policies,
      'scout'       => $scout_policies,
      'default'     => [],
    }
    ($builtin.keys - $choria::policies.keys).each |$agent| {
      choria::policy { $agent:
        policies       => $builtin[$agent],
        policy_default => $policy_default,
        site_policies  => $site_policies,
      }
    }
    $choria::policies.each |$agent, $parameters| {
      choria::policy { $agent:
        * => { 'policy_default' => $policy_default, 'site_policies' => $site_policies } + $parameters,
      }
    }
    $choria::groups.each |$group, $members| {
      choria::group { $group:
        members => $members,
      }
    }
  }
}
