# frozen_string_literal: true

require_relative '../../../puppet_x/choria/host'

# Deletes one item of a data store. An item that does not exist is deleted already.
#
# @example
#   choria::data_delete('version', { 'type' => 'memory' })
Puppet::Functions.create_function(:'choria::data_delete') do
  # @param item The name of the item.
  # @param store The data store and its properties.
  dispatch :delete do
    param 'String[1]', :item
    param 'Hash[String[1], Any]', :store
    return_type 'Undef'
  end

  def delete(item, store)
    PuppetX::Choria::Host.call('choria::data_delete', 'data.delete', 'item' => item, 'store' => store)
  end
end
