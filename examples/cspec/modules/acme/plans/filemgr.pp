# @summary Tests the agent filemgr: files that are there, and one that comes and goes
#
# @param ds
#   The data store. Item discovery.all_nodes is the nodes to test, filemgr.directory where they may create a
#   file, /tmp by default.
# @param report
#   Where to write the report, a JSON file.
# @param fail_fast
#   Whether the first assertion that fails ends the run.
plan acme::filemgr (
  Hash      $ds,
  String[1] $report,
  Boolean   $fail_fast = false,
) {
  $directory = choria::data('filemgr.directory', $ds + { 'default' => '/tmp' })
  $file = "${directory}/acme.${facts['choria']['run_id']}"
  $request = {
    'nodes'         => choria::data('discovery.all_nodes', $ds),
    'silent'        => true,
    '_catch_errors' => true,
  }

  cspec::suite('filemgr', $fail_fast, $report) |$suite| {
    $suite.it('Should know the status of a file', 'quick') |$case| {
      $results = choria::task('mcollective', $request + {
          'action'     => 'filemgr.status',
          'properties' => { 'file' => '/etc/passwd' },
      })

      $case.assert_task_success($results)
      $case.assert_all_equal($results, 'type')
      $case.assert_all_equal($results) |$result| { Integer($result['data']['present']) }
    }

    $suite.it('Should create a file and remove it', 'changes') |$case| {
      $touched = choria::task('mcollective', $request + {
          'action'     => 'filemgr.touch',
          'properties' => { 'file' => $file },
      })
      $case.assert_task_success($touched)

      $case.eventually(10) || {
        $there = choria::task('mcollective', $request + {
            'action'     => 'filemgr.status',
            'properties' => { 'file' => $file },
        })
        $case.assert_at_least($there, '100%') |$result| { Integer($result['data']['present']) == 1 }
      }

      # Nodes that share a file system find it gone.
      $removed = choria::task('mcollective', $request + {
          'action'     => 'filemgr.remove',
          'properties' => { 'file' => $file },
          'fail_ok'    => true,
      })
      $case.assert_at_least($removed, 1)
    }
  }

  return undef
}
