# frozen_string_literal: true

require 'fileutils'
require_relative 'command'

# A bridge that hosts are on, a web server that all reach as packages.example.net, and a certificate
# authority. Everything is in the namespaces that scripts/test-hosts has made, and ends with them.
class Network
  BRIDGE = 'hosts'
  PREFIX = '10.77.0'
  SERVER = 'packages.example.net'

  attr_reader :directory, :authority

  # The names are those of all hosts there will be, since each knows the address of the others.
  def initialize(directory, *names)
    @directory = directory
    @addresses = names.each_with_index.to_h { |name, i| [name, "#{PREFIX}.#{i + 10}"] }
    @authority = Authority.new
    FileUtils.mkdir_p(directory)
    # Of the networks of a run, each in turn has the bridge. Not by /sys, which shows the network of the machine.
    return if system('ip', 'link', 'show', BRIDGE, %i[out err] => File::NULL)

    Command.run('ip', 'link', 'set', 'lo', 'up')
    Command.run('ip', 'link', 'add', BRIDGE, 'type', 'bridge')
    Command.run('ip', 'address', 'add', "#{PREFIX}.1/24", 'dev', BRIDGE)
    Command.run('ip', 'link', 'set', BRIDGE, 'up')
  end

  def address(name)
    @addresses.fetch(name)
  end

  # What stands in /etc/hosts of one of them.
  def hosts(name)
    lines = @addresses.map { |host, address| "#{address} #{host} #{host[/\A[^.]+/]}" }
    ["127.0.0.1 localhost\n", "# this is #{name}\n", *lines.map { |line| "#{line}\n" }, "#{PREFIX}.1 #{SERVER}\n"].join
  end

  # A host with this name and the certificate of a node, booted.
  def host(name, **options)
    host = Host.new(self, name, **options)
    authority.enrol(host, name)
    host.boot
  end

  # The network namespace of a host, with a new card on the bridge.
  def attach(host, count)
    namespace = host.name[/\A[^.]+/]
    outer = "#{namespace}-#{count}"
    Command.run('ip', 'netns', 'add', namespace)
    Command.run('ip', 'link', 'add', outer, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace)
    Command.run('ip', 'link', 'set', outer, 'master', BRIDGE, 'up')
    Command.run('ip', '-n', namespace, 'link', 'set', 'lo', 'up')
    Command.run('ip', '-n', namespace, 'address', 'add', "#{host.address}/24", 'dev', 'eth0')
    Command.run('ip', '-n', namespace, 'link', 'set', 'eth0', 'up')
    "/run/netns/#{namespace}"
  end

  # Takes the card away, and the namespace with it: its kernel would go on to answer for the address.
  def detach(host)
    Command.run('ip', 'netns', 'delete', host.name[/\A[^.]+/])
  end

  # The cgroup that the systemd of a host rules; without one of its own each would end the services of the
  # others.
  def cgroup(name)
    path = File.join(ENV.fetch('CHORIA_HOSTS_CGROUP'), name)
    FileUtils.mkdir_p(path)
    path
  end

  # Serves a directory, and no other any more; nil stops the server.
  def serve(directory)
    if @server
      Process.kill('TERM', @server)
      Process.wait(@server)
      @server = nil
    end
    return unless directory

    @server = Process.spawn('python3', '-m', 'http.server', '--bind', "#{PREFIX}.1", '--directory', directory, '80',
                            %i[out err] => File.join(@directory, 'http.log'))
    Wait.for('the web server') { reachable? }
  end

  private

  def reachable?
    TCPSocket.new("#{PREFIX}.1", 80).close
    true
  rescue Errno::ECONNREFUSED
    false
  end
end
