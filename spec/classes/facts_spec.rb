# frozen_string_literal: true

require 'facter'
require 'open3'
require 'yaml'

RSpec.describe 'choria' do
  let(:timer) { '/etc/systemd/system/choria-facts.timer' }
  let(:cron) { '/etc/cron.d/choria-facts' }

  it 'writes facts by a timer of systemd' do
    expect(content_of(timer)).to match(/^OnUnitActiveSec=10min$/)
    is_expected.to contain_service('choria-facts.timer').with_ensure('running').with_enable(true)
    is_expected.not_to contain_file(cron)
  end

  context 'when it runs' do
    let(:directory) { Dir.mktmpdir }
    let(:file) { "#{directory}/facts.yaml" }
    let(:params) { { 'facts_file' => file, 'facts_pidfile' => "#{directory}/facts.pid" } }

    after { FileUtils.remove_entry(directory) }

    def run
      script = "#{directory}/refresh_facts.rb"
      File.write(script, content_of('/opt/puppetlabs/mcollective/refresh_facts.rb'))
      # Standard error has what Facter says of machines like those that tests run on.
      output, status = Open3.capture2(RbConfig.ruby, script, err: File::NULL)
      expect([output, status.exitstatus]).to eq(['', 0])
    end

    it 'writes what the Puppet agent knows of this machine' do
      run
      expect(YAML.safe_load(File.read(file))['os']['family']).to eq(Facter.value('os')['family'])
      expect(File.stat(file).mode & 0o777).to eq(0o640)
      expect(Dir.children(directory)).to contain_exactly('facts.yaml', 'facts.pid', 'refresh_facts.rb')
    end

    it 'leaves it to another that is at it' do
      File.open("#{directory}/facts.pid", File::RDWR | File::CREAT) do |lock|
        lock.flock(File::LOCK_EX)
        run
      end
      expect(File).not_to exist(file)
    end
  end

  context 'without systemd' do
    let(:facts) { SYSTEMS.fetch('freebsd-13') }
    let(:params) { { 'facts_refresh_interval' => 25 } }

    it 'writes them by cron' do
      expect(content_of(cron)).to match(/^(\d+),\d+(,\d+)? \* \* \* \* root '/)
      expect(content_of(cron)[/^\d+/].to_i).to be < 25
    end
  end

  context 'with an interval of 0' do
    let(:params) { { 'facts_refresh_interval' => 0 } }

    it 'removes the schedule and writes them once' do
      is_expected.to compile.with_all_deps
      is_expected.to contain_file(timer).with_ensure('absent')
      is_expected.not_to contain_service('choria-facts.timer')
      is_expected.to contain_exec('choria: write the facts for the first time')
        .with_creates('/etc/choria/generated-facts.yaml')
    end
  end

  context 'when nothing of it is to be managed' do
    let(:params) { { 'facts_refresh_type' => 'none' } }

    it { expect(catalogue.resources.map(&:ref).grep(/facts/i)).to eq(['Class[Choria::Facts]']) }
  end
end
