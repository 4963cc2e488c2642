# frozen_string_literal: true

require_relative '../../../../spec/support/agent_module'

RSpec.describe 'mcollective_agent_puppet' do
  it_behaves_like 'the module of an agent', 'puppet', %w[last_run_summary status]
end
