# frozen_string_literal: true

require_relative '../../../puppet_x/choria/host'

# Finds nodes.
#
# @example Every web server in the UK, at least two of them
#   $nodes = choria::discover('mcollective',
#     'classes'  => ['apache'],
#     'facts'    => ['country=uk'],
#     'at_least' => 2
#   )
Puppet::Functions.create_function(:'choria::discover') do
  # @param source Where to look: mcollective asks the network, yaml reads a file.
  # @param properties The properties of the source.
  # @return The names of the nodes, in the order of the source.
  dispatch :discover do
    param 'String[1]', :source
    param 'Hash[String[1], Any]', :properties
    return_type 'Choria::Nodes'
  end

  # @param properties The properties of the source mcollective.
  # @return The names of the nodes.
  dispatch :network do
    param 'Hash[String[1], Any]', :properties
    return_type 'Choria::Nodes'
  end

  def discover(source, properties)
    PuppetX::Choria::Host.call('choria::discover', 'discover', 'source' => source, 'properties' => properties)
  end

  def network(properties)
    discover('mcollective', properties)
  end
end
