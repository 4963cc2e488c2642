# frozen_string_literal: true

module MCollective
  module DDL
    # What descriptions of all kinds have in common, and the words that they are written with.
    class Base
      REQUIRED = %i[name description author license version url timeout].freeze
      KNOWN = (REQUIRED + %i[provider service]).freeze

      attr_reader :meta, :entities, :pluginname, :plugintype, :requirements
      attr_writer :usage

      def initialize(plugin, plugintype = :agent, loadddl = true)
        @pluginname = plugin.to_s
        @plugintype = plugintype.to_sym
        @meta = {}
        @entities = {}
        @config = Config.instance
        @usage = ''
        @requirements = {}
        loadddlfile if loadddl
      end

      # Evaluates the description of the plugin.
      def loadddlfile
        path = findddlfile
        raise(DDLValidationError, "Failed to find DDL for #{@plugintype} plugin #{@pluginname}") unless path

        evaluate(path)
      end

      # Evaluates a file.
      def evaluate(path)
        text = File.read(path, encoding: 'UTF-8')
        return from_json(text, path) if path.end_with?('.json')

        instance_eval(text, path, 1)
      end

      # Returns the file of a description, false when there is none.
      def findddlfile(ddlname = nil, ddltype = nil)
        %w[ddl json].each do |extension|
          @config.libdir.each do |dir|
            path = File.join(dir, 'mcollective', (ddltype || @plugintype).to_s,
                             "#{ddlname || @pluginname}.#{extension}")
            return path if File.exist?(path)
          end
        end
        false
      end

      # Says what the plugin is. All of it is required but provider and service.
      def metadata(meta)
        REQUIRED.each { |arg| raise(DDLValidationError, "Metadata needs a :#{arg} property") unless meta.include?(arg) }
        @meta = meta
      end

      # Versions that the plugin needs, as { :mcollective => '2.2.1' }.
      def requires(requirement)
        unless requirement.is_a?(Hash)
          raise(DDLValidationError, 'requires should be a hash in the form {:requirement => "requirement"}')
        end

        requirement.each { |name, version| require_version(name.to_sym, version) }
      end

      def usage(usage_text = nil)
        return @usage if usage_text.nil?

        @usage = usage_text
      end

      # Describes an input of the action, or of the query, that is being described.
      def input(argument, properties)
        raise(DDLValidationError, "Cannot determine what entity input #{argument} belongs to") unless @current_entity

        %i[prompt description type].each do |arg|
          raise(DDLValidationError, "Input needs a :#{arg} property") unless properties.include?(arg)
        end
        check_rules(argument, properties)
        input = { optional: false }.merge(properties)
        input[:optional] = properties.fetch(:optional, @plugintype == :data)
        @entities[@current_entity][:input][argument] = input
      end

      # Describes an output.
      def output(argument, properties)
        raise(DDLValidationError, "Cannot determine what entity output #{argument} belongs to") unless @current_entity

        unless properties.include?(:description)
          raise(DDLValidationError,
                "Output #{argument} needs a description argument")
        end
        unless properties.include?(:display_as)
          raise(DDLValidationError,
                "Output #{argument} needs a display_as argument")
        end

        @entities[@current_entity][:output][argument] = { default: nil }.merge(properties)
      end

      # Holds the value of an input against its description.
      def validate_input_argument(input, key, argument)
        rules = input[key]
        Validator.load_validators
        case rules[:type].to_s
        when 'string' then validate_string(rules, argument)
        when 'list' then Validator.array(argument, rules[:list])
        else Validator.typecheck(argument, rules[:type].to_sym)
        end
        true
      rescue StandardError => e
        raise(DDLValidationError, "Cannot validate input #{key}: #{e}")
      end

      # A text about the plugin for people. A template is an ERB file that sees meta and entities.
      def help(template = nil)
        return ERB.new(File.read(template)).result(binding) if template

        lines = ["#{@meta[:name]} #{@meta[:version]}: #{@meta[:description]}", '', "Author: #{@meta[:author]}",
                 "License: #{@meta[:license]}", "Home page: #{@meta[:url]}", '']
        @entities.each { |name, entity| lines.concat(help_entity(name, entity)) }
        lines << @usage unless @usage.to_s.empty?
        lines.join("\n")
      end

      private

      def validate_string(rules, argument)
        Validator.typecheck(argument, :string)
        Validator.length(argument, rules[:maxlength].to_i)
        Validator.validate(argument, rules[:validation]) unless rules[:validation].nil?
      end

      def check_rules(argument, properties)
        wanted = { 'string' => %i[validation maxlength], 'list' => %i[list] }.fetch(properties[:type].to_s, [])
        wanted.each do |arg|
          next if properties.include?(arg)

          raise(DDLValidationError, "Input type :#{properties[:type]} needs a :#{arg} argument: #{argument}")
        end
      end

      def require_version(name, version)
        raise(DDLValidationError, "Requirement #{name} is not valid, want mcollective") unless name == :mcollective

        @requirements[name] = version
        return unless Util.versioncmp(version, Util.mcollective_version).positive?

        raise(DDLValidationError,
              "#{@plugintype.to_s.capitalize} plugin '#{@pluginname}' requires MCollective version #{version} or newer")
      end

      def help_entity(name, entity)
        lines = ["   #{name}: #{entity[:description]}"]
        { input: 'Input', output: 'Output' }.each do |kind, label|
          (entity[kind] || {}).each { |key, item| lines << "      #{label} #{key}: #{item[:description]}" }
        end
        lines << ''
      end
    end
  end
end
