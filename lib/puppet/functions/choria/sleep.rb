# frozen_string_literal: true

require_relative '../../../puppet_x/choria/host'

# Waits. An interrupt ends the wait.
#
# @example
#   choria::sleep(10)
Puppet::Functions.create_function(:'choria::sleep') do
  # @param seconds How long to wait.
  dispatch :wait do
    param 'Numeric', :seconds
    return_type 'Undef'
  end

  def wait(seconds)
    PuppetX::Choria::Host.call('choria::sleep', 'sleep', 'seconds' => seconds)
  end
end
