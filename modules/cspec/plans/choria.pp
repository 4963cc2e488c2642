# @summary Tests which version of Choria the nodes run
#
# @param ds
#   The data store. Item choria.version is the version that is expected, by default that of the client.
# @param report
#   Where to write the report, a JSON file.
# @param fail_fast
#   Whether the first assertion that fails ends the run.
plan cspec::choria (
  Hash      $ds,
  String[1] $report,
  Boolean   $fail_fast = false,
) {
  $version = choria::data('choria.version', $ds + { 'default' => $facts['choria']['version'] })
  $nodes = choria::run_playbook('cspec::nodes', { 'ds' => $ds, 'agent' => 'choria_util' })

  cspec::suite('choria', $fail_fast, $report) |$suite| {
    $suite.it('Should run the expected version') |$case| {
      $results = choria::task('mcollective', {
          'action'        => 'choria_util.info',
          'nodes'         => $nodes,
          'silent'        => true,
          '_catch_errors' => true,
      })

      $case.assert_task_success($results)

      $results.ok_set.each |$result| {
        $case.assert_task_data_equals(
          $result,
          $result['data']['choria_version'].regsubst(/\Achoria /, ''),
          $version.regsubst(/\Achoria /, '')
        )
      }
    }
  }

  return undef
}
