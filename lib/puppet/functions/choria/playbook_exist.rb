# frozen_string_literal: true

require_relative '../../../puppet_x/choria/host'

# Says whether a playbook can be found, even when its file does not parse.
#
# @example
#   if choria::playbook_exist('site::notify') { choria::run_playbook('site::notify') }
Puppet::Functions.create_function(:'choria::playbook_exist') do
  # @param name The name of the playbook.
  dispatch :exist do
    param 'String', :name
    return_type 'Boolean'
  end

  def exist(name)
    PuppetX::Choria::Host.call('choria::playbook_exist', 'playbook.exist', 'name' => name)
  end
end
