# @summary What every network should do: find its nodes, reach them, and run one version everywhere
#
# @param ds
#   The data store. Item network.nodes is a list of the nodes expected.
# @param report
#   Where to write the report, a JSON file.
# @param fail_fast
#   Whether the first assertion that fails ends the run.
plan network::basics (
  Hash      $ds,
  String[1] $report,
  Boolean   $fail_fast = false,
) {
  $expected = choria::data('network.nodes', $ds)

  cspec::suite('basics', $fail_fast, $report) |$suite| {
    $suite.it('Should find the nodes that are expected', ['quick', 'discovery']) |$case| {
      $found = choria::discover('mcollective', { 'empty_ok' => true })

      $case.assert_equal($found.sort, $expected.sort)
    }

    $suite.it('Should reach at least 95% of the nodes', 'quick') |$case| {
      $results = choria::task('mcollective', {
          'action'        => 'rpcutil.ping',
          'nodes'         => $expected,
          'silent'        => true,
          '_catch_errors' => true,
      })

      $case.assert_at_least($results, '95%')
    }

    $suite.it('Should run one version everywhere') |$case| {
      $results = choria::task('mcollective', {
          'action'        => 'rpcutil.inventory',
          'nodes'         => $expected,
          'silent'        => true,
          '_catch_errors' => true,
      })

      $case.assert_all_equal($results, 'version')
    }
  }

  return undef
}
