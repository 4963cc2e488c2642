# frozen_string_literal: true

require_relative '../../../puppet_x/choria/host'
require_relative '../../../puppet_x/choria/cleanup'

# Makes sure that a block runs when the playbook ends, however that comes: also after an error and after an
# interrupt. Blocks run in the reverse order of the calls, the last one first.
#
# The block sees the variables as they are now. What it returns is dropped; when it fails, the others run all
# the same, and the playbook fails unless it has failed already.
#
# @example Enable Puppet whatever happens
#   choria::task('action' => 'puppet.disable', 'nodes' => $nodes)
#   choria::ensure() || {
#     choria::task('action' => 'puppet.enable', 'nodes' => $nodes)
#   }
Puppet::Functions.create_function(:'choria::ensure') do
  # @return Nothing.
  dispatch :register do
    # Puppet does not get as far as to say that a required block is missing where there are no parameters.
    optional_block_param 'Callable[0, 0]', :block
    return_type 'Undef'
  end

  def register(&block)
    raise PuppetX::Choria::Error, "'choria::ensure' expects a block" unless block
    unless PuppetX::Choria::Cleanup.register(block)
      raise PuppetX::Choria::Error, 'choria::ensure can only be used in playbooks'
    end

    nil
  end
end
