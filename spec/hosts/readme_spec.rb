# frozen_string_literal: true

# What the README says under "Install it", taken from there and typed on two machines of a site that has Puppet
# and nothing else: the Puppet Server, and a node that it has signed. Only make is not run on them, which have no
# network: what it makes is there already.
RSpec.describe 'the README', order: :defined do
  administrator, alice = File.read(File.expand_path('../../README.md', __dir__))[/^## Install it$.*?(?=^## )/m]
                             .scan(/^```sh$\n(.*?)^```$/m).flatten
  make, *shell, agent = administrator.lines
  # Without what stands behind it for the reader.
  command = ->(line) { line.sub(/\s+# .*/, '').chomp }

  before(:context) do
    names = %w[puppet.example.net web1.example.net]
    @network = Network.new(Made.path('readme'), *names)
    trees = %w[bookworm-server bookworm].map { |tree| File.join(Made::TREES, tree) }
    @puppet, @node = names.zip(trees).map do |name, tree|
      Host.new(@network, name, tree: tree, layers: [Made.path('checkout')]).boot
    end
    start_puppetserver
    @node.run!('puppet', 'ssl', 'bootstrap')
    @node.run!('useradd', '--create-home', '--shell', '/bin/bash', 'alice')
  end

  after(:context) do
    [@puppet, @node].compact.each { |host| host.halt if host.booted? }
  end

  # As a site would have it, but for a Java that starts sooner and takes less memory. Nodes are signed at once,
  # people are not.
  def start_puppetserver
    @puppet.write('/etc/puppet/autosign.conf', "*.example.net\n")
    defaults = @puppet.read('/etc/default/puppetserver')
    java = '-Xms256m -Xmx768m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC'
    @puppet.write('/etc/default/puppetserver', defaults.sub(/-Xms\w+ -Xmx\w+/, java))
    @puppet.run!('systemctl', 'start', '--no-block', 'puppetserver')
    log = -> { @puppet.run('journalctl', '-u', 'puppetserver', '-n', '50').output }
    Wait.for('the Puppet Server', log, patience: 900) do
      @puppet.run('bash', '-c', 'exec 3<>/dev/tcp/puppet/8140').ok?
    end
  end

  def as_alice(command)
    @node.run('runuser', '-l', 'alice', '-c', command)
  end

  # It says 2 when it has changed something.
  define_method(:agent_changes) do |host|
    result = host.run('bash', '-c', "cd /usr/src/choria && #{command.call(agent)}")
    expect([0, 2]).to include(result.status), result.output
    result.status == 2
  end

  it 'builds what it installs' do
    expect(command.call(make)).to eq('make repo forge')
  end

  it 'prepares the Puppet Server' do
    result = @puppet.run('bash', '-euc', "cd /usr/src/choria\n#{shell.join}")
    expect(result).to be_ok, result.output
  end

  it 'runs Puppet on the Puppet Server, then on the other machine, and has nothing left to do' do
    expect([@puppet, @node].map { |host| agent_changes(host) }).to eq([true, true])
    expect([@puppet, @node].map { |host| agent_changes(host) }).to eq([false, false])
  end

  it 'lets alice enroll, and the administrator sign' do
    enroll, sign = alice.lines.first.match(/\A(.*?)\s+# waits for: (.*)$/).captures
    waiting = Thread.new { as_alice(enroll) }
    Wait.for('the request of alice') { @puppet.run('bash', '-c', sign).ok? || !waiting.alive? }
    expect(waiting.value).to be_ok, waiting.value.output
  end

  it 'answers the first ping of alice, and the first request' do
    ping, request = alice.lines.drop(1).map { |line| command.call(line) }
    Wait.for('both nodes', -> { as_alice(ping).output }) do
      result = as_alice(ping)
      result.ok? && %w[puppet.example.net web1.example.net].all? { |name| result.output.include?(name) }
    end
    result = as_alice(request)
    expect(result).to be_ok, result.output
    expect(result.output).to include('puppet.example.net', 'web1.example.net')
  end
end
