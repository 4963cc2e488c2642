# @summary Tests one discovery method
#
# @param method
#   The discovery method.
# @param all_nodes
#   The nodes whose fact kernel is Linux.
# @param mcollective_nodes
#   The nodes that have the class mcollective.
# @param filtered_nodes
#   The nodes that match the fact filter.
# @param fact_filter
#   A fact filter, as in country=uk.
# @param report
#   Where to write the report, a JSON file.
# @param fail_fast
#   Whether the first assertion that fails ends the run.
plan cspec::discovery::test (
  Enum['mc', 'choria'] $method,
  Array[String]        $all_nodes,
  Array[String]        $mcollective_nodes,
  Array[String]        $filtered_nodes,
  String[1]            $fact_filter,
  String[1]            $report,
  Boolean              $fail_fast = false,
) {
  $source = { 'discovery_method' => $method, 'empty_ok' => true }

  cspec::suite("${method} discovery method", $fail_fast, $report) |$suite| {
    $suite.it('Should find all Linux nodes') |$case| {
      $nodes = choria::discover('mcollective', $source + { 'facts' => ['kernel=Linux'] })
      $case.assert_equal($nodes.sort, $all_nodes.sort)
    }

    $suite.it('Should find and reach all Linux nodes') |$case| {
      $nodes = choria::discover('mcollective', $source + { 'facts' => ['kernel=Linux'], 'test' => true })
      $case.assert_equal($nodes.sort, $all_nodes.sort)
    }

    $suite.it("Should find the nodes with ${fact_filter}") |$case| {
      $nodes = choria::discover('mcollective', $source + { 'facts' => [$fact_filter] })
      $case.assert_equal($nodes.sort, $filtered_nodes.sort)
    }

    $suite.it('Should find the nodes with class mcollective') |$case| {
      $nodes = choria::discover('mcollective', $source + { 'classes' => ['mcollective'] })
      $case.assert_equal($nodes.sort, $mcollective_nodes.sort)
    }
  }

  return undef
}
