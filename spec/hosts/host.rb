# frozen_string_literal: true

require 'fileutils'
require 'open3'
require 'yaml'
require_relative 'puppet_run'

# A machine with Debian and Puppet, booted from a tree of scripts/host-tree: systemd is process 1 of own
# namespaces. It has a network card on the bridge of Network, and what it writes is gone with it.
class Host
  CODE = '/etc/puppet/code/environments/production'

  # What a command printed, both streams together, and its exit status.
  Result = Struct.new(:status, :output) do
    def ok?
      status.zero?
    end
  end

  attr_reader :name, :address

  # The tree is that of a release; layers are directories that are put above it, the topmost first.
  def initialize(network, name, tree:, layers: [])
    @network = network
    @name = name
    @address = network.address(name)
    @directory = File.join(network.directory, name)
    mount([*layers, tree])
    write('/etc/hostname', "#{name}\n")
    write('/etc/hosts', network.hosts(name))
    @cards = 0
  end

  # Starts the host, and returns when systemd has started what is enabled.
  def boot
    namespace = @network.attach(self, @cards += 1)
    cgroup = @network.cgroup(name)
    log = File.join(@network.directory, "#{name}.log")
    @boot = Process.spawn(
      'bash', '-c', 'echo $$ >"$1/cgroup.procs"; shift; exec "$@"', 'cgroup', cgroup,
      'nsenter', "--net=#{namespace}", File.expand_path('boot', __dir__), root, name, %i[out err] => log
    )
    @init = Wait.for("systemd of #{name}") { child_of(@boot) }
    Wait.for("#{name} to be booted", -> { run('systemctl', '--no-pager', 'list-jobs').output }) do
      # Degraded is as good: kernel modules cannot be loaded here.
      %w[running degraded].include?(run('systemctl', 'is-system-running').output.strip)
    end
    self
  end

  # Stops the host as its power switch does: systemd stops its services and ends.
  def halt
    Process.kill(38, @init)
    Process.wait(@boot)
    @network.detach(self)
    @boot = @init = nil
    self
  end

  def booted?
    !@boot.nil?
  end

  # Takes the network away, or gives it back.
  def link(state)
    run!('ip', 'link', 'set', 'eth0', state.to_s)
  end

  # Runs a command on the host, as root.
  def run(*command, env: {})
    raise "#{name} is not booted" unless @init

    variables = { 'PATH' => '/usr/sbin:/usr/bin:/sbin:/bin', 'HOME' => '/root', 'LANG' => 'C.UTF-8' }.merge(env)
    output, status = Open3.capture2e(
      'nsenter', '-t', @init.to_s, '-a', 'env', '-i', '-C', '/root', *variables.map { |pair| pair.join('=') }, *command
    )
    Result.new(status.exitstatus || (128 + status.termsig), output.force_encoding('UTF-8').scrub)
  end

  # What a command printed, which has to succeed.
  def run!(*command, env: {})
    result = run(*command, env: env)
    raise "#{name}: #{command.join(' ')}: exit status #{result.status}\n#{result.output}" unless result.ok?

    result.output
  end

  # One run of Puppet with this as the data of the node.
  def puppet(data)
    write("#{CODE}/data/#{name}.yaml", data.to_yaml)
    # Without the summary there is no list of classes, which agents write by themselves.
    result = run('puppet', 'apply', '--detailed-exitcodes', '--color=false', '--show_diff', '--write-catalog-summary',
                 "#{CODE}/manifests")
    PuppetRun.new(result.status, result.output, read('/var/cache/puppet/state/last_run_report.yaml'))
  end

  # The process that systemd runs for the service, nil when it does not.
  def process(service)
    pid = run!('systemctl', 'show', '--property=MainPID', '--value', service).strip
    pid unless pid == '0'
  end

  def enabled?(service)
    run('systemctl', 'is-enabled', service).ok?
  end

  def write(path, content, mode = 0o644)
    full = outside(path)
    FileUtils.mkdir_p(File.dirname(full))
    File.write(full, content)
    File.chmod(mode, full)
  end

  def read(path)
    File.read(outside(path))
  end

  def exist?(path)
    File.exist?(outside(path)) || File.symlink?(outside(path))
  end

  def delete(path)
    File.delete(outside(path))
  end

  def entries(path)
    Dir.children(outside(path)).sort
  end

  private

  def root
    File.join(@directory, 'root')
  end

  def outside(path)
    File.join(root, path)
  end

  def mount(layers)
    FileUtils.mkdir_p(@directory)
    Command.run('mount', '-t', 'tmpfs', '-o', 'mode=755', 'host', @directory)
    %w[upper work root].each { |name| Dir.mkdir(File.join(@directory, name)) }
    Command.run('mount', '-t', 'overlay', '-o', "lowerdir=#{layers.join(':')},upperdir=#{@directory}/upper," \
                                                "workdir=#{@directory}/work", name, root)
  end

  # The process whose parent it is.
  def child_of(parent)
    Dir.glob('/proc/[0-9]*/stat').each do |path|
      pid, fields = File.read(path).match(/\A(\d+) \(.*\) (.*)\z/m).captures
      return pid.to_i if fields.split[1].to_i == parent
    rescue Errno::ENOENT, Errno::ESRCH
      next
    end
    nil
  end
end
