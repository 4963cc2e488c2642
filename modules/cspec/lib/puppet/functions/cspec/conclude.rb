# frozen_string_literal: true

require 'puppet_x/choria/host'

# Makes the whole run count as failed, with exit status 1, unless all suites of a summary passed. The
# playbook goes on and its result is shown.
#
# @example
#   cspec::conclude(cspec::summarize_report($report))
Puppet::Functions.create_function(:'cspec::conclude') do
  # @param summary What cspec::summarize_report returned.
  # @return Whether all suites passed.
  dispatch :conclude do
    param 'Hash', :summary
    return_type 'Boolean'
  end

  def conclude(summary)
    PuppetX::Choria::Host.call('cspec::conclude', 'cspec.conclude', 'summary' => summary)
  end
end
