# frozen_string_literal: true

require_relative '../../../puppet_x/cspec/suite'

# Leaves out all cases that have none of some tags, in all suites that are run after it.
#
# @example
#   cspec::only(['quick'])
Puppet::Functions.create_function(:'cspec::only') do
  # @param tags The tags. None means all cases.
  dispatch :only do
    param 'Array[String[1]]', :tags
    return_type 'Undef'
  end

  def only(tags)
    PuppetX::Cspec::Suite.only = tags
    nil
  end
end
