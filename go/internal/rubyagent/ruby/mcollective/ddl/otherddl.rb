# frozen_string_literal: true

module MCollective
  module DDL
    # The description of a validator, an aggregate or a connector, which is metadata alone.
    class OtherDDL < Base
    end
  end
end
