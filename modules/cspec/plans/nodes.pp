# @summary Finds the nodes that a suite tests
#
# @param ds
#   The data store. Items nodes.facts, a list of fact filters, and nodes.method, the discovery method.
# @param agent
#   The agent that the nodes must have.
# @return The nodes.
plan cspec::nodes (
  Hash      $ds,
  String[1] $agent,
) {
  return choria::discover('mcollective', {
      'discovery_method' => choria::data('nodes.method', $ds + { 'default' => 'mc' }),
      'agents'           => [$agent],
      'facts'            => choria::data('nodes.facts', $ds + { 'default' => ['kernel=Linux'] }),
      'when_empty'       => "No node to test agent ${agent} on",
  })
}
