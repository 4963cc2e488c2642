# frozen_string_literal: true

module PuppetX
  module Choria
    # Stands in for Facter while a playbook runs: it knows nothing, at once. Facter itself would take
    # 0.2 s to say who we are, which no plan may depend on.
    class Facts
      def value(_name) end
      def add(_name, *_rest) end

      def to_hash
        {}
      end

      def resolve(*_queries)
        {}
      end

      def load_external?
        false
      end

      # What Puppet tells Facter to do has nothing to act on.
      %i[clear reset search search_external trace debugging load_external].each do |name|
        define_method(name) { |*_| nil }
      end
    end
  end
end
