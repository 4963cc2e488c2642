# @summary Tests the agent nettest
#
# @param ds
#   The data store. Items nettest.fqdn and nettest.port are what to connect to, nettest.fqdn also what to
#   ping unless nettest.ping is false. By default that is port 4222 of localhost.
# @param report
#   Where to write the report, a JSON file.
# @param fail_fast
#   Whether the first assertion that fails ends the run.
plan cspec::agents::nettest (
  Hash      $ds,
  String[1] $report,
  Boolean   $fail_fast = false,
) {
  $fqdn = choria::data('nettest.fqdn', $ds + { 'default' => 'localhost' })
  $port = choria::data('nettest.port', $ds + { 'default' => 4222 })
  $ping = choria::data('nettest.ping', $ds + { 'default' => true })
  $nodes = choria::run_playbook('cspec::nodes', { 'ds' => $ds, 'agent' => 'nettest' })
  $request = { 'nodes' => $nodes, 'silent' => true, '_catch_errors' => true }

  cspec::suite('nettest agent', $fail_fast, $report) |$suite| {
    $suite.it("Should connect to ${fqdn}:${port}") |$case| {
      $results = choria::task('mcollective', $request + {
          'action'     => 'nettest.connect',
          'properties' => { 'fqdn' => $fqdn, 'port' => Integer($port) },
      })

      $case.assert_task_success($results)

      $results.ok_set.each |$result| {
        $case.assert_task_data_equals($result, String($result['data']['connect']), 'true')
      }
    }

    $suite.it("Should ping ${fqdn}") |$case| {
      unless $ping {
        $case.skip('nettest.ping is false')
      }

      $results = choria::task('mcollective', $request + {
          'action'     => 'nettest.ping',
          'properties' => { 'fqdn' => $fqdn },
      })

      $case.assert_task_success($results)

      $results.ok_set.each |$result| {
        $case.assert_true(Numeric($result['data']['rtt']) >= 0)
      }
    }
  }

  return undef
}
