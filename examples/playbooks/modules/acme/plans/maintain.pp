# @summary Pages whoever has to know that a role is maintained, and remembers that it was
#
# All that this uses is added by this module, below choria: a source of nodes, a data store with locks and a type of
# task, each a small program.
#
# @param role
#   Which nodes.
# @param people
#   Whom to page.
# @param hosts
#   A file of hosts with their roles.
# @param directory
#   Where to remember.
# @param pager
#   The program that pages one person.
# @return The nodes.
plan acme::maintain (
  String[1]           $role,
  Array[String[1], 1] $people,
  String[1]           $hosts     = '/srv/hosts.txt',
  String[1]           $directory = '/srv/plans',
  String[1]           $pager     = 'pager',
) {
  $nodes = choria::discover('acme::hosts', { 'file' => $hosts, 'role' => $role })
  $store = { 'type' => 'acme::directory', 'directory' => $directory, 'ttl' => 60 }

  choria::lock("maintenance.${role}", $store) || {
    $before = choria::data("times.${role}", $store + { 'default' => 0 })

    choria::task('acme::page', {
        'description' => "page ${people.length} people",
        'people'      => $people,
        'text'        => "Role ${role} is maintained: ${nodes.join(', ')}",
        'pager'       => $pager,
        'tries'       => 2,
        'try_sleep'   => 5,
    })

    choria::data("times.${role}", $before + 1, $store)
  }

  return $nodes
}
