# frozen_string_literal: true

require 'puppet_x/choria/host'

# Summarises a report.
#
# @example
#   $summary = cspec::summarize_report('report.json')
#   unless $summary['success'] { warning('some suites failed') }
Puppet::Functions.create_function(:'cspec::summarize_report') do
  # @param report The report, a JSON file.
  # @return testsuites, a list of name, cases and success, and success for all; only error when there
  #   is no report.
  dispatch :summarize do
    param 'String[1]', :report
    return_type 'Hash'
  end

  def summarize(report)
    PuppetX::Choria::Host.call('cspec::summarize_report', 'cspec.summarize', 'report' => report)
  end
end
