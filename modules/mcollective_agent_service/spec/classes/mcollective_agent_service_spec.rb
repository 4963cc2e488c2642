# frozen_string_literal: true

require_relative '../../../../spec/support/agent_module'

RSpec.describe 'mcollective_agent_service' do
  it_behaves_like 'the module of an agent', 'service', %w[status]
end
