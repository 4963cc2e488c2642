# frozen_string_literal: true

require_relative '../../../../puppet_x/choria/host'
require_relative '../../../../puppet_x/choria/task_input'

# Writes a value as JSON on one line, as the agent `bolt_tasks` wants it.
#
# @example
#   choria::tasks::encode({ 'name' => 'nginx' })
Puppet::Functions.create_function(:'choria::tasks::encode') do
  # @param value The value.
  # @return The text, which is Sensitive when something in the value is.
  dispatch :encode do
    param 'Any', :value
    return_type 'Variant[String[1], Sensitive[String[1]]]'
  end

  def encode(value)
    text = PuppetX::Choria::Host.call('choria::tasks::encode', 'json.encode', 'value' => value)
    return text unless PuppetX::Choria::TaskInput.sensitive?(value)

    Puppet::Pops::Types::PSensitiveType::Sensitive.new(text)
  end
end
