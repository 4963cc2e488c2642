# @summary Tests the agent process
#
# @param ds
#   The data store. Item process.pattern is a regular expression that the command line of some process
#   on every node matches.
# @param report
#   Where to write the report, a JSON file.
# @param fail_fast
#   Whether the first assertion that fails ends the run.
plan cspec::agents::process (
  Hash      $ds,
  String[1] $report,
  Boolean   $fail_fast = false,
) {
  $pattern = choria::data('process.pattern', $ds + { 'default' => 'choria-server' })
  $nodes = choria::run_playbook('cspec::nodes', { 'ds' => $ds, 'agent' => 'process' })

  cspec::suite('process agent', $fail_fast, $report) |$suite| {
    $suite.it("Should list processes that match ${pattern}") |$case| {
      $results = choria::task('mcollective', {
          'action'        => 'process.list',
          'nodes'         => $nodes,
          'silent'        => true,
          'properties'    => { 'pattern' => $pattern },
          '_catch_errors' => true,
      })

      $case.assert_task_success($results)

      $results.ok_set.each |$result| {
        $list = $result['data']['pslist']
        $case.assert_false($list.empty)
        $list.each |$process| {
          $case.assert_match($pattern, $process['cmdline'])
        }
      }
    }
  }

  return undef
}
