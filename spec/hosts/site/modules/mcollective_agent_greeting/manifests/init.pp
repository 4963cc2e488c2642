# @summary A plugin module as a site has them of its own
#
# @param config
#   Settings of the agent.
# @param policies
#   Who may do what with it.
class mcollective_agent_greeting (
  Hash[String[1], Data]     $config   = {},
  Array[Choria::PolicyLine] $policies = [],
) {
  choria::plugin { 'mcollective_agent_greeting':
    config_name  => 'greeting',
    common_files => ['agent/greeting.json'],
    server_files => ['agent/greeting.rb'],
    config       => $config,
    policies     => $policies,
  }
}
