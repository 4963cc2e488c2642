# frozen_string_literal: true

require 'shellwords'
require 'socket'
require 'tmpdir'
require_relative 'authority'
require_relative 'command'
require_relative 'host'
require_relative 'network'

# What scripts/test-hosts has made: the modules as a layer of files, repositories, and a place for hosts.
module Made
  DIRECTORY = ENV.fetch('CHORIA_HOSTS') { abort 'run these with scripts/test-hosts' }
  TREES = File.expand_path('../../.hosts', __dir__)

  module_function

  def path(name)
    File.join(DIRECTORY, name)
  end

  # The releases of Debian to boot, of those that the scripts makes trees of.
  def releases
    ENV.fetch('CHORIA_HOSTS_RELEASES').split
  end

  def copy(name, to)
    FileUtils.cp(path(name), to)
  end

  # A repository of its own for a test, with the first version.
  def repository(name)
    Command.run('cp', '-a', path('www'), path('www.key'), path(name).tap { |directory| FileUtils.mkdir_p(directory) })
    File.join(path(name), 'www')
  end

  # Puts a version into a repository, beside what is in it.
  def publish(repository, version)
    Command.run('scripts/repo', repository, *Dir.glob(path("packages/choria_#{version}-*.deb")))
  end

  # What a host is made of.
  def host(release)
    { tree: File.join(TREES, release), layers: [path('layer')] }
  end
end
