# frozen_string_literal: true

RSpec.describe 'choria' do
  SYSTEMS.each do |name, system|
    context "with a broker on #{name}" do
      let(:facts) { system }
      let(:post_condition) { 'include choria::broker' }

      it { is_expected.to compile.with_all_deps }
    end
  end
end
