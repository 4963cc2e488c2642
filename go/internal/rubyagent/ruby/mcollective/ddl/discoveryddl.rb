# frozen_string_literal: true

module MCollective
  module DDL
    # The description of a way to find nodes.
    class DiscoveryDDL < Base
      CAPABILITIES = %i[classes facts identity agents compound federations].freeze

      def discovery(&block)
        raise(DDLValidationError, 'Discovery plugins can only have one definition') if @entities[:discovery]

        @entities[:discovery] = { capabilities: [] }
        @current_entity = :discovery
        instance_eval(&block) if block
      ensure
        @current_entity = nil
      end

      # Which filters the plugin honours.
      def capabilities(*caps)
        caps = caps.flatten
        raise(DDLValidationError, "Discovery plugin capabilities can't be empty") if caps.empty?

        caps.each do |cap|
          raise(DDLValidationError, "#{cap} is not a valid capability") unless CAPABILITIES.include?(cap)
        end
        @entities[:discovery][:capabilities].concat(caps)
      end

      def discovery_interface
        @entities[:discovery]
      end
    end
  end
end
