# The other functions.
plan demo::functions () {
  $store = { 'type' => 'memory' }
  choria::data('list', [1, 2.5, { 'k' => undef }], $store)
  choria::data('gone', 'x', $store)
  choria::data_delete('gone', $store)
  choria::data('secret', Sensitive('hunter22'), $store)
  choria::sleep(0.01)

  $caught = choria::run_playbook('demo::deep::fails', 'message' => 'oh no', '_catch_errors' => true)
  $caught.choria::on_error |$error| { notice("caught ${error.message}") }
  $refused = choria::run_playbook(demo::deep::fails, { '_catch_errors' => true })
  $broken = choria::run_playbook('broken', { '_catch_errors' => true })
  $passed = 'other'.choria::on_error |$x| { fail('not called') }.choria::on_success |$x| { fail('not called') }

  $deep = Integer[1, 150].reduce([]) |$memo, $n| { [$memo] } # deeper than Ruby reads without being asked to
  choria::data('deep', $deep, $store)

  $answer = {
    'list'      => choria::data('list', $store),
    'deep'      => choria::data('deep', $store) == $deep,
    'gone'      => choria::data('gone', $store + { 'default' => 'gone' }),
    'returned'  => choria::data('x', 'y', $store),
    'secret'    => choria::data('secret', $store),
    'groups'    => [1, 2, 3, 4, 5].choria::in_groups_of(2) |$group| { $group },
    'exist'     => ['demo', 'broken', 'demo::nope', 'cspec::suite', 'Bad::Name'].map |$n| { choria::playbook_exist($n) },
    'nested'    => choria::run_playbook('demo::deep::adds', 'a' => 2, 'b' => 3, '_ignored' => 1),
    'caught'    => [$caught.ok, $caught.empty, $caught.message, $caught.exception.message, $caught.exception.details['line']],
    'refused'   => $refused.exception.message,
    'broken'    => [$broken.exception.message, $broken.exception.details['line']],
    'passed'    => $passed,
    'playbook'  => $facts['choria']['playbook'],
    'shellsafe' => ['ls -l a&b', 'a && b', 'a;b', '`x`', '$x', 'a|b', 'a>b', 'a<b', ''].map |$s| { $s =~ Choria::ShellSafe },
    'rich'      => [Timestamp(0), /re/, Integer[1, 2], default, Sensitive('hunter23'), SemVer('1.2.3'), { 1 => 2 }],
  }

  return $answer
}
