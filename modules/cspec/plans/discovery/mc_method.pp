# @summary Tests the discovery method mc, which asks the network
#
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
plan cspec::discovery::mc_method (
  Array[String] $all_nodes,
  Array[String] $mcollective_nodes,
  Array[String] $filtered_nodes,
  String[1]     $fact_filter,
  String[1]     $report,
  Boolean       $fail_fast = false,
) {
  return choria::run_playbook('cspec::discovery::test', {
      'method'            => 'mc',
      'all_nodes'         => $all_nodes,
      'mcollective_nodes' => $mcollective_nodes,
      'filtered_nodes'    => $filtered_nodes,
      'fact_filter'       => $fact_filter,
      'report'            => $report,
      'fail_fast'         => $fail_fast,
  })
}
