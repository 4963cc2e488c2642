# frozen_string_literal: true

RSpec.describe 'choria' do
  let(:timer) { '/etc/systemd/system/choria-facts.timer' }
  let(:cron) { '/etc/cron.d/choria-facts' }

  it 'writes facts by a timer of systemd' do
    expect(content_of(timer)).to match(/^OnUnitActiveSec=10min$/)
    is_expected.to contain_service('choria-facts.timer').with_ensure('running').with_enable(true)
    is_expected.not_to contain_file(cron)
  end

  it 'is valid Ruby' do
    script = content_of('/opt/puppetlabs/mcollective/refresh_facts.rb')
    expect { RubyVM::InstructionSequence.compile(script) }.not_to raise_error
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
