# frozen_string_literal: true

module MCollective
  # Where the classes of agents are.
  module Agent
  end
end
