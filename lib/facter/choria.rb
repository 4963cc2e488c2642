# frozen_string_literal: true

require_relative '../puppet_x/choria/installed'

# The version of Choria that is installed, and whether its server runs, is connected and waits to be
# provisioned.
Facter.add(:choria) do
  setcode do
    program = Facter::Core::Execution.which('choria-server')
    # The version is the last word of the first line.
    version = program && Facter::Core::Execution.execute("#{program} --version", timeout: 5, on_fail: nil)
    server = PuppetX::Choria::Installed.new(Facter.value('os')['family']).server

    fact = { 'version' => version&.lines&.first&.split&.last, 'server' => server }.compact
    fact unless fact.empty?
  end
end
