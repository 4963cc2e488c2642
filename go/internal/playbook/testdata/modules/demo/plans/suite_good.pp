plan demo::suite_good (
  Hash      $ds,
  String[1] $report,
  Boolean   $fail_fast = false,
) {
  cspec::suite('good', $fail_fast, $report) |$suite| {
    $suite.it('passes') |$case| {
      $case.assert_true(true)
    }
  }

  return undef
}
