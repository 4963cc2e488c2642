# frozen_string_literal: true

module MCollective
  module DDL
    # Descriptions as JSON, both ways.
    class Base
      # The names of the schemas.
      SCHEMA = 'https://choria.io/schemas/mcorpc/ddl/v1/%s.json'

      # Returns the description as what its JSON is made of.
      def to_h
        doc = { '$schema' => format(SCHEMA, @plugintype), 'metadata' => plain(@meta.select do |k, _|
                                                                                KNOWN.include?(k)
                                                                              end) }
        case @plugintype
        when :agent then doc['actions'] = @entities.map { |name, entity| action_to_h(name, entity) }
        when :data then doc.merge!(data_to_h)
        end
        doc
      end

      private

      def action_to_h(name, entity)
        doc = { 'action' => name.to_s, 'description' => entity[:description].to_s, 'display' => entity[:display].to_s,
                'input' => each_value(entity[:input]) { |input| input_to_h(input) },
                'output' => each_value(entity[:output]) { |output| output_to_h(output) } }
        doc['aggregate'] = entity[:aggregate].map { |agg| aggregate_to_h(agg) } if entity[:aggregate]
        doc
      end

      def data_to_h
        entity = @entities[:data] || {}
        query = (entity[:input] || {})[:query]
        { 'query' => query && input_to_h(query), 'output' => each_value(entity[:output]) { |out| output_to_h(out) } }
      end

      def each_value(hash)
        (hash || {}).map { |key, value| [key.to_s, yield(value)] }.to_h
      end

      def input_to_h(input)
        doc = { 'prompt' => input[:prompt].to_s, 'description' => input[:description].to_s,
                'type' => input[:type].to_s.downcase, 'optional' => input[:optional] ? true : false }
        doc['default'] = plain(input[:default]) unless input[:default].nil?
        case doc['type']
        when 'string'
          doc['validation'] = rule_to_s(input[:validation])
          doc['maxlength'] = input[:maxlength].to_i
        when 'list' then doc['list'] = plain(Array(input[:list]))
        end
        doc
      end

      def output_to_h(output)
        doc = { 'description' => output[:description].to_s, 'display_as' => output[:display_as].to_s }
        doc['type'] = output[:type].to_s.downcase if output[:type]
        doc['default'] = plain(output[:default]) unless output[:default].nil?
        doc
      end

      # A pattern of Ruby as one of RE2: \Z is the only common word that it lacks, and options go before.
      def rule_to_s(rule)
        return rule.to_s unless rule.is_a?(Regexp)

        options = { Regexp::IGNORECASE => 'i', Regexp::MULTILINE => 's' }.select do |bit, _|
          (rule.options & bit).positive?
        end
        source = rule.source.gsub('\\Z', '\\z').gsub('\\h', '[0-9a-fA-F]').gsub('\\/', '/')
        options.empty? ? source : "(?#{options.values.join})#{source}"
      end

      def aggregate_to_h(agg)
        { 'function' => agg[:function].to_s, 'args' => agg[:args].map { |arg| plain(arg) } }
      end

      # Symbols, patterns and what else JSON has not, as text.
      def plain(value)
        case value
        when Hash then value.map { |k, v| [k.to_s, plain(v)] }.to_h
        when Array then value.map { |v| plain(v) }
        when Numeric, true, false, nil then value
        else value.to_s
        end
      end

      # Fills the description from JSON.
      def from_json(text, path)
        doc = JSON.parse(text)
        metadata(symbols(doc.fetch('metadata')))
        case @plugintype
        when :agent then Array(doc['actions']).each { |act| action_from_json(act) }
        when :data then data_from_json(doc)
        end
      rescue JSON::ParserError, KeyError => e
        raise(DDLValidationError, "#{path}: #{e.message}")
      end

      def action_from_json(act)
        action(act['action'], description: act['description']) do
          display(act['display'].to_s.empty? ? :failed : act['display'].to_sym)
          from_json_items(act)
          Array(act['aggregate']).each do |agg|
            (@entities[@current_entity][:aggregate] ||= []) << { function: agg['function'].to_sym,
                                                                 args: agg['args'] }
          end
        end
      end

      def data_from_json(doc)
        dataquery(description: @meta[:description]) do
          input(:query, json_input(doc['query'])) if doc['query']
          from_json_items('output' => doc['output'])
        end
      end

      def from_json_items(doc)
        (doc['input'] || {}).each { |name, item| input(name.to_sym, json_input(item)) }
        (doc['output'] || {}).each { |name, item| output(name.to_sym, symbols(item)) }
      end

      # A validation that is a plain word is the name of a validator.
      def json_input(item)
        rules = symbols(item)
        rules[:type] = rules[:type].to_s.downcase.to_sym
        rules[:validation] = rules[:validation].to_sym if rules[:validation].to_s.match?(/\A[a-z][a-z0-9_]*\z/)
        rules
      end

      def symbols(hash)
        hash.transform_keys(&:to_sym)
      end
    end
  end
end
