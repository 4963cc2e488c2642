# @summary A group of callers that policies can name
#
# @example
#   choria::group { 'operators':
#     members => ['choria=alice.mcollective', 'choria=bob.mcollective'],
#   }
#
# @param members
#   The callers in the group.
define choria::group (
  Array[Pattern[/\A\S+\z/]] $members,
) {
  unless $name =~ /\A[\w.-]+\z/ {
    fail("choria::group: ${name} is not the name of a group: letters, digits, _, - and . make one")
  }

  # Only nodes that run the server have policies.
  if $choria::server and $choria::ensure == 'present' {
    concat::fragment { "choria group ${name}":
      target  => "${choria::configdir}/policies/groups",
      order   => "1 ${name}",
      content => "${([$name] + $members).join(' ')}\n",
    }
  }
}
