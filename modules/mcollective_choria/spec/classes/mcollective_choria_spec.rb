# frozen_string_literal: true

RSpec.describe 'mcollective_choria' do
  shared = '/etc/choria/plugin.d/choria.cfg'

  it 'is the class choria, by another name' do
    is_expected.to compile.with_all_deps
    is_expected.to contain_class('choria')
    is_expected.to contain_service('choria-server')
  end

  context 'with settings in Hiera, those of clients among them' do
    let(:hiera_config) { File.join(ROOT, 'spec/hiera/field.yaml') }

    it 'has them in the file that all programs read' do
      expect(content_of(shared)).to include("puppetdb_host = pdb1.example.net\n", "puppetdb_port = 8082\n")
    end
  end

  context 'with settings that are not from Hiera' do
    let(:params) { { 'config' => { 'puppetdb_host' => 'elsewhere' } } }

    it 'says that they would have no effect' do
      is_expected.to compile.and_raise_error(/mcollective_choria: config is not from Hiera.*set choria::shared_config/)
    end
  end
end
