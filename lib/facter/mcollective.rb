# frozen_string_literal: true

require_relative '../puppet_x/choria/installed'

# The collectives of the server and of clients on this machine, and the files that say so. Discovery by
# PuppetDB finds the nodes of a collective by it.
Facter.add(:mcollective) do
  setcode do
    collectives = PuppetX::Choria::Installed.new(Facter.value('os')['family']).collectives
    collectives unless collectives.empty?
  end
end
