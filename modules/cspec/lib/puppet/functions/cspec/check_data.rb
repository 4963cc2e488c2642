# frozen_string_literal: true

require 'puppet_x/choria/host'

# Makes sure that a data file can be read and lists suites. When it does not, and no task was run before, the run ends
# with the exit status of an input that is no good.
#
# @example
#   cspec::check_data({ 'type' => 'file', 'file' => 'suite.yaml', 'format' => 'yaml' })
Puppet::Functions.create_function(:'cspec::check_data') do
  # @param store The data store with the data of the suites.
  # @return The suites: names of playbooks.
  dispatch :check do
    param 'Hash[String[1], Data]', :store
    return_type 'Array[String[1], 1]'
  end

  def check(store)
    PuppetX::Choria::Host.call('cspec::check_data', 'cspec.check', 'store' => store)
  end
end
