# Assertions about many nodes, tags, and assertions that take a while. The test knows the lines.
plan demo::suite_nodes (
  Hash      $ds,
  String[1] $report,
  Boolean   $fail_fast = false,
) {
  $request = { 'action' => 'puppet.status', 'nodes' => choria::data('nodes', $ds), 'silent' => true, '_catch_errors' => true }
  cspec::suite('nodes', $fail_fast, $report, 'network') |$suite| {
    $suite.it('differ', ['equal', 'network']) |$case| {
      $results = choria::task($request)
      $case.assert_all_equal($results, 'idling')
      $case.assert_all_equal($results.ok_set, 'idling')
      $case.assert_all_equal($results.ok_set, 'lastrun.at')
      $case.assert_all_equal($results.ok_set, 'nope')
      $case.assert_all_equal($results.ok_set) |$result| { $result['data']['lastrun']['at'] + 1 }
      $case.assert_all_equal($results.error_set, 'idling')
      $case.assert_all_equal($results.ok_set.error_set, 'idling')
    }
    $suite.it('are enough') |$case| {
      $results = choria::task($request)
      $case.assert_exactly($results, 3)
      $case.assert_exactly($results, 1)
      $case.assert_exactly($results, 1) |$result| { $result['data']['idling'] }
      $case.assert_at_least($results, 3)
      $case.assert_at_least($results, '75%')
      $case.assert_at_least($results, '75.1%')
      $case.assert_at_least($results, 1) |$result| { $result['data']['idling'] }
      $case.assert_at_least($results.ok_set.error_set, '1%')
    }
    $suite.it('come to it', 'slow') |$case| {
      $held = $case.eventually(30, 0.01) || {
        $results = choria::task($request + { 'action' => 'puppet.enable' })
        $case.assert_all_equal($results, 'count')
        $case.assert_true($results.first['data']['count'] >= 3)
      }
      $case.assert_true($held)
    }
    $suite.it('never come to it', 'slow') |$case| {
      $case.eventually(0.01, 0.005) || { $case.assert_true(false) }
      $case.eventually(60) || { 1 }
      $case.eventually(0, 1) || {
        $case.assert_true(true)
        fail('out of order')
      }
    }
    $suite.it('is left', 'slow') |$case| {
      $case.eventually(60) || { $case.skip('not now') }
    }
    $suite.it('is left in a branch') |$case| {
      choria::parallel([1, 2]) |$n| {
        if $n == 1 { $case.skip('not here') }
        $case.assert_true(true)
      }
    }
    $suite.it('cannot be asked') |$case| {
      $results = choria::task($request + { 'action' => 'puppet.nope' })
      $case.assert_exactly($results, 0)
      $case.assert_count($results, 0)
      $case.assert_count($results.error_set, 0)
      $case.assert_task_success($results)
    }
  }

  return undef
}
