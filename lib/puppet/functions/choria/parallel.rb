# frozen_string_literal: true

require_relative '../../../puppet_x/choria/host'
require_relative '../../../puppet_x/choria/detached'

# Calls a block with each item of an array, several at the same time: while one waits for a task, a lock or anything
# else outside, others go on. It returns when all have ended; when one fails, the others end as they would, and
# the call fails.
#
# Each block has variables of its own and sees those around it as they are at the start. `return` and `next`
# give its value.
#
# @example Each cluster on its own
#   $outcome = choria::parallel($clusters) |$cluster| {
#     choria::run_playbook('site::upgrade', 'cluster' => $cluster)
#   }
Puppet::Functions.create_function(:'choria::parallel') do
  # @param items What to call the block with.
  # @param options `limit` is how many run at the same time at most, 10 unless given.
  # @return What the block gave for each item, in their order.
  dispatch :parallel do
    param 'Array', :items
    optional_param "Struct[{Optional['limit'] => Integer[1]}]", :options
    block_param 'Callable[1, 1]', :block
    return_type 'Array'
  end

  def parallel(items, options = {}, &block)
    host = PuppetX::Choria::Host.current
    raise PuppetX::Choria::Error, 'choria::parallel can only be used in playbooks' unless host

    blocks = items.map do |item|
      detached = PuppetX::Choria::Detached.new(block)
      -> { detached.call(item) }
    end
    host.branches.run(blocks, options['limit'] || 10)
  end
end
