# frozen_string_literal: true

require 'tmpdir'
require_relative '../../lib/puppet_x/choria/installed'

RSpec.describe PuppetX::Choria::Installed do
  subject(:installed) { described_class.new('Debian', root: root) }

  let(:root) { Dir.mktmpdir }

  after { FileUtils.remove_entry(root) }

  def write(path, text)
    FileUtils.mkdir_p(File.dirname(root + path))
    File.binwrite(root + path, text)
  end

  it 'knows the collectives of the server and of clients' do
    write('/etc/choria/server.conf', "# a comment\ncollectives = mcollective, uk ,\nmain_collective=uk\n")
    write('/etc/choria/client.conf', "loglevel = warn\n")

    expect(installed.collectives).to eq(
      'server' => { 'collectives' => %w[mcollective uk], 'main_collective' => 'uk',
                    'file' => "#{root}/etc/choria/server.conf" },
      'client' => { 'collectives' => ['mcollective'], 'main_collective' => 'mcollective',
                    'file' => "#{root}/etc/choria/client.conf" }
    )
  end

  it 'reads what mcollectived left when there is nothing else' do
    write('/etc/puppetlabs/mcollective/server.cfg', "collectives = old\n")

    expect(installed.collectives['server']).to include('collectives' => ['old'])
  end

  it 'knows nothing where nothing is' do
    expect([installed.collectives, installed.server]).to eq([{}, nil])
  end

  it 'survives a file that is none' do
    write('/etc/choria/server.conf', (0..255).map(&:chr).join.b * 3)

    expect(installed.collectives['server']['main_collective']).to eq('mcollective')
  end

  context 'with a status file' do
    let(:status) { { 'connected_server' => 'nats://b:4222', 'provisioning_mode' => false } }
    let(:file) { "#{root}/status.json" }

    before do
      write('/etc/choria/server.conf', <<~TEXT)
        plugin.choria.status_file_path = #{file}
        plugin.choria.status_update_interval = 30
      TEXT
      File.write(file, JSON.generate(status))
    end

    it 'knows a server that runs' do
      expect(installed.server).to eq('running' => true, 'connected' => true, 'provisioning' => false)
    end

    it 'knows a server that lost its connection' do
      File.write(file, JSON.generate(status.merge('connected_server' => '')))

      expect(installed.server).to include('running' => true, 'connected' => false)
    end

    it 'knows a server that stopped writing' do
      File.utime(Time.now - 91, Time.now - 91, file)

      expect(installed.server).to eq('running' => false, 'connected' => false, 'provisioning' => false)
    end

    it 'says nothing when the file is cut off' do
      File.write(file, '{"connected_se')

      expect(installed.server).to be_nil
    end
  end
end
