# @summary Tests that discovery finds the nodes that we have
#
# @param ds
#   The data store. Items discovery.all_nodes and discovery.filtered_nodes are the nodes expected,
#   discovery.fact_filter is a filter that finds the latter.
# @param report
#   Where to write the report, a JSON file.
# @param fail_fast
#   Whether the first assertion that fails ends the run.
plan acme::discovery (
  Hash      $ds,
  String[1] $report,
  Boolean   $fail_fast = false,
) {
  $all = choria::data('discovery.all_nodes', $ds)
  $filter = choria::data('discovery.fact_filter', $ds)

  cspec::suite('discovery', $fail_fast, $report, 'quick') |$suite| {
    $suite.it('Should find all nodes') |$case| {
      # Nodes that have just been started may not be there yet.
      $case.eventually(30) || {
        $case.assert_equal(choria::discover('mcollective', { 'empty_ok' => true }).sort, $all.sort)
      }
    }

    $suite.it("Should find the nodes with ${filter}") |$case| {
      $found = choria::discover('mcollective', { 'facts' => [$filter], 'empty_ok' => true })

      $case.assert_equal($found.sort, choria::data('discovery.filtered_nodes', $ds).sort)
    }

    $suite.it('Should get an answer from all nodes') |$case| {
      $results = choria::task('mcollective', {
          'action'        => 'rpcutil.ping',
          'nodes'         => $all,
          'silent'        => true,
          '_catch_errors' => true,
      })

      $case.assert_exactly($results, $all.length)
    }
  }

  return undef
}
