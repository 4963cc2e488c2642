# @summary Tests the agent shell
#
# @param ds
#   The data store.
# @param report
#   Where to write the report, a JSON file.
# @param fail_fast
#   Whether the first assertion that fails ends the run.
plan cspec::agents::shell (
  Hash      $ds,
  String[1] $report,
  Boolean   $fail_fast = false,
) {
  $nodes = choria::run_playbook('cspec::nodes', { 'ds' => $ds, 'agent' => 'shell' })

  cspec::suite('shell agent', $fail_fast, $report) |$suite| {
    $suite.it('Should run a command') |$case| {
      $results = choria::task('mcollective', {
          'action'        => 'shell.run',
          'nodes'         => $nodes,
          'silent'        => true,
          'properties'    => { 'command' => 'echo hello world' },
          '_catch_errors' => true,
      })

      $case.assert_task_success($results)

      $results.ok_set.each |$result| {
        $case.assert_task_data_equals($result, $result['data']['success'], true)
        $case.assert_task_data_equals($result, $result['data']['stdout'], "hello world\n")
        $case.assert_task_data_equals($result, $result['data']['stderr'], '')
      }
    }
  }

  return undef
}
