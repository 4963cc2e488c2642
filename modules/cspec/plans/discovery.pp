# @summary Tests whether discovery finds the right nodes
#
# @param ds
#   The data store. Items discovery.all_nodes, discovery.mcollective_nodes and discovery.filtered_nodes
#   are the nodes expected, discovery.fact_filter a list of filters that each find the filtered nodes,
#   discovery.methods the methods to test: mc, choria or both.
# @param report
#   Where to write the report, a JSON file.
# @param fail_fast
#   Whether the first assertion that fails ends the run.
plan cspec::discovery (
  Hash      $ds,
  String[1] $report,
  Boolean   $fail_fast = false,
) {
  $methods = choria::data('discovery.methods', $ds + { 'default' => ['mc'] })

  choria::data('discovery.fact_filter', $ds).each |$filter| {
    $methods.each |$method| {
      choria::run_playbook("cspec::discovery::${method}_method", {
          'all_nodes'         => choria::data('discovery.all_nodes', $ds),
          'mcollective_nodes' => choria::data('discovery.mcollective_nodes', $ds),
          'filtered_nodes'    => choria::data('discovery.filtered_nodes', $ds),
          'fact_filter'       => $filter,
          'report'            => $report,
          'fail_fast'         => $fail_fast,
      })
    }
  }

  return undef
}
