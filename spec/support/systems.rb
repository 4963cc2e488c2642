# frozen_string_literal: true

require 'facterdb'
require 'json'

# The systems of metadata.json, each with the facts of a node that has it.
#
# The facts are those of FacterDB. Releases that are younger than it have the facts of the one before them,
# with another name and number.
module Systems
  # What a release has its facts from, as a file of FacterDB.
  OLDER = {
    'debian-12' => 'debian-11',
    'debian-13' => 'debian-11',
    'ubuntu-22.04' => 'ubuntu-21.10',
    'ubuntu-24.04' => 'ubuntu-21.10',
    'rocky-9' => 'rocky-8',
    'almalinux-9' => 'almalinux-8',
    'centos-9' => 'centos-8',
    'windows-2022' => 'windows-2019'
  }.freeze
  CODENAMES = {
    'debian-12' => 'bookworm', 'debian-13' => 'trixie', 'ubuntu-22.04' => 'jammy', 'ubuntu-24.04' => 'noble'
  }.freeze
  DATABASE = File.join(Gem::Specification.find_by_name('facterdb').gem_dir, 'facts')

  module_function

  # The name of each system, such as debian-12, and its facts.
  def all(root)
    supported = JSON.parse(File.read(File.join(root, 'metadata.json')))['operatingsystem_support']
    names = supported.flat_map do |system|
      name = system['operatingsystem'].downcase
      system.fetch('operatingsystemrelease', [nil]).map { |release| [name, release].compact.join('-') }
    end
    names.to_h { |name| [name, facts(name)] }
  end

  def facts(name)
    @facts ||= {}
    @facts[name] ||= read(name).freeze
    Marshal.load(Marshal.dump(@facts[name]))
  end

  def read(name)
    facts = JSON.parse(File.read(file(OLDER.fetch(name, name))), symbolize_names: true)
    facts = JSON.parse(JSON.generate(facts)).transform_keys(&:to_sym)
    rename(facts, name) if OLDER.key?(name)
    # The sets lack what comes from stdlib, and Facter 3 has what Facter 4 calls legacy.
    facts[:service_provider] = provider(facts)
    facts[:puppet_vardir] = '/opt/puppetlabs/puppet/cache' if facts[:aio_agent_version]
    facts
  end

  def file(name)
    newest = Dir.glob(File.join(DATABASE, '[34].*', "#{name}-{x86_64,amd64}.facts"))
                .max_by { |path| Gem::Version.new(File.basename(File.dirname(path))) }
    newest || raise("no facts of #{name} in #{DATABASE}")
  end

  def rename(facts, name)
    release = name[/-(.*)/, 1]
    facts[:os]['release'].merge!('full' => release, 'major' => release)
    distro = facts[:os]['distro']
    distro['codename'] = CODENAMES[name] if distro && CODENAMES[name]
  end

  def provider(facts)
    { 'windows' => 'windows', 'FreeBSD' => 'freebsd' }.fetch(facts[:os]['family'], 'systemd')
  end
end
