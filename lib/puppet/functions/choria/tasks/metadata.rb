# frozen_string_literal: true

require_relative '../../../../puppet_x/choria/host'

# Asks the Puppet Server for the metadata of a Puppet Task and for its list of files.
#
# @example
#   $metadata = choria::tasks::metadata('package')
#   notice($metadata['metadata']['description'])
Puppet::Functions.create_function(:'choria::tasks::metadata') do
  # @param task The name of the task.
  # @param environment The environment of Puppet that the task is from.
  # @return `files` and `metadata`, in which there always are `parameters`.
  dispatch :metadata do
    param 'String[1]', :task
    optional_param 'String[1]', :environment
    return_type 'Hash[String[1], Data]'
  end

  def metadata(task, environment = 'production')
    PuppetX::Choria::Host.call('choria::tasks::metadata', 'puppettask.metadata',
                               'task' => task, 'environment' => environment)
  end
end
