# @summary Runs the suites that the data lists
#
# @param ds
#   The data store with the data of the suites.
# @param report
#   Where to write the report, a JSON file.
# @param fail_fast
#   Whether the first assertion that fails ends the run.
plan cspec::run_suites (
  Hash      $ds,
  String[1] $report,
  Boolean   $fail_fast = false,
) {
  $suites = cspec::check_data($ds)

  notice("Running ${suites.length} test suites: ${suites.join(', ')}")

  $suites.each |$suite| {
    choria::run_playbook($suite, { 'ds' => $ds, 'report' => $report, 'fail_fast' => $fail_fast })
  }

  return undef
}
