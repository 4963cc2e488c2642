# frozen_string_literal: true

RSpec.describe 'mcollective_util_actionpolicy' do
  settings = '/etc/choria/plugin.d/actionpolicy.cfg'

  let(:pre_condition) { 'include choria' }
  let(:params) do
    { 'config' => { 'enable_default' => true, 'default_name' => 'site' },
      'server_config' => { 'default_name' => 'nodes' } }
  end

  it 'writes the settings of authorization, and restarts the server for them' do
    is_expected.to compile.with_all_deps
    expect(content_of(settings).lines.drop(1)).to eq(["default_name = nodes\n", "enable_default = true\n"])
    is_expected.to contain_file(settings).that_notifies('Class[choria::service]')
  end

  context 'without any' do
    let(:params) { {} }

    it 'writes nothing' do
      is_expected.to compile.with_all_deps
      is_expected.not_to contain_file(settings).with_ensure('file')
    end
  end

  context 'when it is to be absent' do
    let(:params) { { 'ensure' => 'absent' } }

    it { is_expected.to contain_file(settings).with_ensure('absent') }
  end
end
