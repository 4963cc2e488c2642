# frozen_string_literal: true

require_relative '../../../puppet_x/choria/host'

# Runs a block while it holds a lock of a data store.
#
# Nothing of the block runs if the lock is not obtained. It is released however the block ends: also by an
# error, by `return`, `next` and `break`, and by an interrupt.
#
# @example At most one of these at a time, on the whole network
#   choria::lock('upgrade', { 'type' => 'etcd', 'timeout' => 60, 'ttl' => 30 }) || {
#     choria::run_playbook('site::upgrade', 'nodes' => $nodes)
#   }
Puppet::Functions.create_function(:'choria::lock') do
  # @param item The name of the lock.
  # @param store The data store and its properties. `timeout` is how many seconds to wait for the lock, 120
  #   unless given.
  # @return What the block returned.
  dispatch :lock do
    param 'String[1]', :item
    param 'Hash[String[1], Any]', :store
    block_param 'Callable[0, 0]', :block
    return_type 'Any'
  end

  def lock(item, store)
    lock = PuppetX::Choria::Host.call('choria::lock', 'lock.take', 'item' => item, 'store' => store)
    ended = false
    begin
      result = yield
      ended = true
      result
    ensure
      # That the lock was lost is only worth an error if there is not one already.
      PuppetX::Choria::Host.call('choria::lock', 'lock.release', 'lock' => lock, 'failed' => !ended)
    end
  end
end
