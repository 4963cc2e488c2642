# frozen_string_literal: true

# Stands in for the type of the module scheduled_task, which comes with the all-in-one agent and is not in
# Debian.
Puppet::Type.newtype(:scheduled_task) do
  @doc = 'A task of the scheduler of Windows, for the compiler only.'
  ensurable
  newparam(:name, namevar: true)
  %i[command arguments trigger].each { |name| newproperty(name) }
end
