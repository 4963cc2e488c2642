# @summary Runs the suites that a data file lists, and reports
#
# @param data
#   The data file, YAML or JSON: which suites to run and what they need to know.
# @param report
#   Where to write the report, a JSON file. A relative path is below the working directory.
# @param fail_fast
#   Whether the first assertion that fails ends the run.
# @param pre_post
#   Whether to disable the Puppet agent everywhere before the suites, and to enable it when the playbook ends,
#   however that comes.
# @param exit_status
#   Whether the run fails, with exit status 1, when a suite failed.
# @param only
#   Tags: only cases that have one of them are run. Empty means all cases.
# @return The summary of the report.
plan cspec::suite (
  String[1]        $data,
  String[1]        $report,
  Boolean          $fail_fast   = false,
  Boolean          $pre_post    = true,
  Boolean          $exit_status = true,
  Array[String[1]] $only        = [],
) {
  $ds = { 'type' => 'file', 'file' => $data, 'format' => 'yaml' }

  # A data file or a report that is of no use is found out before anything is touched.
  cspec::check_data($ds)
  cspec::clear_report($report)
  cspec::only($only)

  # Known before Puppet is disabled anywhere, so that it is enabled again also after an interrupt on the way.
  if $pre_post {
    choria::ensure() || {
      choria::run_playbook('cspec::post_flight', { 'ds' => $ds, '_catch_errors' => true }).choria::on_error |$error| {
        warning("Post-flight failed: ${error.message}")
      }
    }
  }

  $before = $pre_post ? {
    true    => choria::run_playbook('cspec::pre_flight', { 'ds' => $ds, '_catch_errors' => true }),
    default => undef,
  }
  $result = $before ? {
    Choria::TaskResults => $before,
    default             => choria::run_playbook('cspec::run_suites', {
        'ds'            => $ds,
        'fail_fast'     => $fail_fast,
        'report'        => $report,
        '_catch_errors' => true,
    }),
  }

  $result.choria::on_error |$error| {
    fail("Critical error while running the suites: ${error.message}")
  }

  unless $only.empty or cspec::summarize_report($report)['testsuites'] {
    fail("No case has a tag ${only.join(' or ')}")
  }

  $summary = cspec::summarize_report($report)
  if $exit_status {
    cspec::conclude($summary)
  }

  return $summary
}
