# frozen_string_literal: true

module MCollective
  module Agent
    # Greets with the word of its configuration.
    class Greeting < RPC::Agent
      action 'greet' do
        reply[:greeting] = "#{config.pluginconf.fetch('greeting.word', 'hello')} #{request[:name]}"
      end
    end
  end
end
