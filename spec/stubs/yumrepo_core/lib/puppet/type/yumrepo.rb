# frozen_string_literal: true

# Stands in for the type of the module yumrepo_core, which comes with the all-in-one agent and is not in
# Debian.
Puppet::Type.newtype(:yumrepo) do
  @doc = 'A repository, for the compiler only.'
  ensurable
  newparam(:name, namevar: true)
  %i[descr baseurl mirrorlist gpgcheck repo_gpgcheck sslverify metadata_expire gpgkey enabled].each do |name|
    newproperty(name)
  end
end
