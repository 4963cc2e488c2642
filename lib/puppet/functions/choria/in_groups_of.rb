# frozen_string_literal: true

# Calls a block with consecutive groups of an array; the last group holds what is left.
#
# @example Five nodes at a time
#   $nodes.choria::in_groups_of(5) |$group| {
#     choria::run_playbook('site::upgrade', 'nodes' => $group)
#   }
Puppet::Functions.create_function(:'choria::in_groups_of') do
  # @param items What to take groups of.
  # @param size The largest group.
  # @return What the block returned for each group.
  dispatch :in_groups_of do
    param 'Array', :items
    param 'Integer[1]', :size
    block_param
    return_type 'Array'
  end

  def in_groups_of(items, size, &block)
    items.each_slice(size).map(&block)
  end
end
