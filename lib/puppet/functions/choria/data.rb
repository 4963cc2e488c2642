# frozen_string_literal: true

require_relative '../../../puppet_x/choria/host'

# Reads or writes one item of a data store.
#
# @example Read, then write
#   $store   = { 'type' => 'file', 'file' => '~/plan.yaml', 'format' => 'yaml' }
#   $version = choria::data('version', $store)
#   choria::data('version', '1.2.4', $store)
Puppet::Functions.create_function(:'choria::data') do
  # @param item The name of the item.
  # @param store The data store and its properties. With `default` a missing item is no error, with
  #   `'sensitive' => true` the value is a secret.
  # @return The value, a Sensitive when it is a secret.
  dispatch :read do
    param 'String[1]', :item
    param 'Hash[String[1], Any]', :store
    return_type 'Any'
  end

  # @param item The name of the item.
  # @param value What to store. Stores that hold text alone refuse all else.
  # @param store The data store and its properties.
  # @return The stored value, as it was given.
  dispatch :write do
    param 'String[1]', :item
    param 'Variant[Data, Sensitive[Data]]', :value
    param 'Hash[String[1], Any]', :store
    return_type 'Any'
  end

  def read(item, store)
    value = PuppetX::Choria::Host.call('choria::data', 'data.read', 'item' => item, 'store' => store)
    store['sensitive'] ? Puppet::Pops::Types::PSensitiveType::Sensitive.new(value) : value
  end

  def write(item, value, store)
    params = { 'item' => item, 'value' => value, 'store' => store }
    stored = PuppetX::Choria::Host.call('choria::data', 'data.write', params)
    value.is_a?(Puppet::Pops::Types::PSensitiveType::Sensitive) ? value : stored
  end
end
