module MCollective
  module Util
    class Apihelper
      VALUE = "helped"
      @loads = 0
      class << self
        attr_accessor :loads
      end
    end
  end
end
MCollective::Util::Apihelper.loads += 1 if MCollective::Util::Apihelper.loads
