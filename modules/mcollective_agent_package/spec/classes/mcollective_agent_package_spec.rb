# frozen_string_literal: true

require_relative '../../../../spec/support/agent_module'

RSpec.describe 'mcollective_agent_package' do
  it_behaves_like 'the module of an agent', 'package', %w[status count md5]
end
