module MCollective
  module Validator
    class EvenwordValidator
      def self.validate(value)
        Validator.typecheck(value, :string)
        raise "'#{value}' has an odd number of letters" if value.size.odd?
      end
    end
  end
end
