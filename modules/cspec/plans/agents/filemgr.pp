# @summary Tests the agent filemgr
#
# @param ds
#   The data store. Item filemgr.directory is where nodes may create a file, /tmp by default; filemgr.shared says
#   that all nodes share this directory, as those of a lab do.
# @param report
#   Where to write the report, a JSON file.
# @param fail_fast
#   Whether the first assertion that fails ends the run.
plan cspec::agents::filemgr (
  Hash      $ds,
  String[1] $report,
  Boolean   $fail_fast = false,
) {
  $directory = choria::data('filemgr.directory', $ds + { 'default' => '/tmp' })
  $shared = choria::data('filemgr.shared', $ds + { 'default' => false })
  $nodes = choria::run_playbook('cspec::nodes', { 'ds' => $ds, 'agent' => 'filemgr' })
  $request = { 'nodes' => $nodes, 'silent' => true, '_catch_errors' => true }

  cspec::suite('filemgr agent', $fail_fast, $report) |$suite| {
    $suite.it('Should report the status of a file') |$case| {
      $results = choria::task('mcollective', $request + {
          'action'     => 'filemgr.status',
          'properties' => { 'file' => '/etc/hosts' },
      })

      $case.assert_task_success($results)

      $results.ok_set.each |$result| {
        $case.assert_task_data_equals($result, $result['data']['name'], '/etc/hosts')
        $case.assert_task_data_equals($result, Integer($result['data']['present']), 1)
      }
    }

    $suite.it('Should create a file') |$case| {
      $file = "${directory}/cspec.${facts['choria']['run_id']}"
      $touched = choria::task('mcollective', $request + {
          'action'     => 'filemgr.touch',
          'properties' => { 'file' => $file },
      })
      $results = choria::task('mcollective', $request + {
          'action'     => 'filemgr.status',
          'properties' => { 'file' => $file },
      })

      # What the first node has removed is gone for those that share its file system.
      choria::task('mcollective', $request + {
          'action'     => 'filemgr.remove',
          'nodes'      => $shared ? { true => $nodes[0, 1], default => $nodes },
          'properties' => { 'file' => $file },
          'fail_ok'    => true,
      })

      $case.assert_task_success($touched)
      $case.assert_task_success($results)

      $results.ok_set.each |$result| {
        $case.assert_task_data_equals($result, Integer($result['data']['present']), 1)
      }
    }
  }

  return undef
}
