# frozen_string_literal: true

# Applies one resource of Puppet. Standard input has a JSON object: type, title, properties, environment
# (null for that of the configuration) and options of Puppet. Standard output gets one: logs, changed,
# failed. What providers print goes to standard error.

require 'json'
require 'puppet'

result = $stdout.dup
$stdout.reopen($stderr)

input = JSON.parse($stdin.read)
Puppet.settings.preferred_run_mode = :agent
Puppet.initialize_settings(input['options'])

environment = Puppet::Node::Environment.remote(input['environment'] || Puppet[:environment])
report = Puppet::Transaction::Report.new
reply = { 'logs' => [], 'changed' => false, 'failed' => true }

Puppet.override({ current_environment: environment }, 'one resource') do
  type = Puppet::Type.type(input['type'])
  raise Puppet::Error, "there is no type #{input['type']}" unless type

  properties = input['properties'].transform_keys(&:to_sym)
  resource = type.new(properties.merge(title: input['title']))
  catalog = Puppet::Resource::Catalog.new('choria', environment)
  catalog.add_resource(resource)
  Puppet::Util::Log.newdestination(report)
  catalog.apply(report: report)
  status = report.resource_statuses[resource.ref]
  reply['changed'] = status.changed ? true : false
  reply['failed'] = status.failed || status.failed_to_restart ? true : false
rescue StandardError => e
  reply['logs'] << e.message
end

reply['logs'] = report.logs.map(&:to_s) + reply['logs']
result.puts(JSON.generate(reply))
