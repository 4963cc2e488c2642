# A suite with all sorts of outcomes. The test knows the lines.
plan demo::suite (
  Hash      $ds,
  String[1] $report,
  Boolean   $fail_fast = false,
) {
  $nodes = choria::data('nodes', $ds)
  $suite = cspec::suite('mixed', $fail_fast, $report) |$suite| {
    $suite.it('passes') |Cspec::Case $case| {
      $case.assert_equal([1, 'a'], [1.0, 'a'])
      $case.assert_true(true)
      $case.assert_false(false)
      $case.assert_match(/^a/, 'abc')
      $case.assert_match('b', 'abc')
      $case.assert_includes(['a', 'b'], 'a')
      $case.assert_count([1, 2], 2)
    }
    $suite.it('fails') |$case| {
      [1, 2].each |$n| {
        $case.assert_equal($n, 1)
      }
      $case.assert_match(/^b/, 'abc')
    }
    $suite.it('raises') |$case| {
      $case.assert_true(true)
      choria::data('nope', $ds)
    }
    $suite.it('is skipped') |$case| {
      $case.skip('no time')
      $case.assert_true(false)
    }
    $suite.it('asks nodes') |$case| {
      $results = choria::task('action' => 'puppet.status', 'nodes' => $nodes, 'silent' => true, '_catch_errors' => true)
      $case.assert_task_success($results)
      $case.assert_task_failure($results)
      $case.assert_count($results, 3)
      $results.ok_set.each |$result| {
        $case.assert_task_data_equals($result, $result['data']['idling'], true)
      }
      $none = choria::task('action' => 'nope.nope', 'nodes' => $nodes, '_catch_errors' => true)
      $case.assert_task_success($none)
      $case.assert_task_success($results.ok_set.error_set)
    }
  }

  return $suite.outcome['success']
}
