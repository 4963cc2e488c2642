# frozen_string_literal: true

require_relative 'ddl/base'
require_relative 'ddl/agentddl'
require_relative 'ddl/dataddl'
require_relative 'ddl/discoveryddl'
require_relative 'ddl/otherddl'
require_relative 'ddl/json'

module MCollective
  # Descriptions of plugins: files NAME.ddl, which are Ruby, or NAME.json where there is none.
  #
  #   DDL.new('puppet').action_interface('status')[:output]
  module DDL
    # How long a description is taken from memory, in seconds.
    CACHED = 300

    CLASSES = { agent: 'AgentDDL', data: 'DataDDL', discovery: 'DiscoveryDDL' }.freeze

    class << self
      def new(*args)
        name, type, load = args
        type = (type || :agent).to_sym
        return ddl_class(type).new(name, type, false) if load == false

        load_and_cache(name.to_s, type)
      end

      def load_and_cache(name, type, *)
        Cache.setup(:ddl, CACHED)
        key = "#{type}/#{name}"
        begin
          Cache.read(:ddl, key)
        rescue RuntimeError
          Cache.write(:ddl, key, ddl_class(type).new(name, type))
        end
      end

      def string_to_boolean(val)
        case val
        when /\A(true|t|yes|y|1)\z/i then true
        when /\A(false|f|no|n|0)\z/i then false
        else raise(DDLValidationError, "#{val} does not look like a boolean argument")
        end
      end

      def string_to_number(val)
        case val
        when /\A-?\d+\.\d+\z/ then val.to_f
        when /\A-?\d+\z/ then val.to_i
        else raise(DDLValidationError, "#{val} does not look like a number")
        end
      end

      # The place of an error is of interest to whoever looks at the log.
      def validation_fail!(_code, *args)
        raise(DDLValidationError, args.map(&:to_s).join(' '))
      end

      private

      def ddl_class(type)
        const_get(CLASSES.fetch(type, 'OtherDDL'))
      end
    end
  end
end
