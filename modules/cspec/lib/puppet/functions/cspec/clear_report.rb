# frozen_string_literal: true

require 'puppet_x/choria/host'

# Deletes a report if there is one, and makes sure that it can be written.
#
# @example
#   cspec::clear_report('report.json')
Puppet::Functions.create_function(:'cspec::clear_report') do
  # @param report The report, a JSON file. A relative path is below the working directory.
  dispatch :clear do
    param 'String[1]', :report
    return_type 'Undef'
  end

  def clear(report)
    PuppetX::Choria::Host.call('cspec::clear_report', 'cspec.clear', 'report' => report)
  end
end
