# frozen_string_literal: true

module MCollective
  # What is known about this node.
  module Facts
    class << self
      def [](fact)
        PluginManager['facts_plugin'].get_fact(fact)
      end

      # Returns one fact, or all without a name.
      def get_fact(fact = nil)
        PluginManager['facts_plugin'].get_fact(fact)
      end

      def has_fact?(fact, value)
        PluginManager['facts_plugin'].has_fact?(fact, value)
      end

      # Registers what facts come from: the plugin of the library directories named by factsource,
      # else YAML files.
      def load_provider(source)
        PluginManager.delete('facts_plugin')
        name = "#{source.to_s.downcase}_facts"
        if name != 'yaml_facts' && PluginManager.find('facts').include?(name)
          PluginManager.loadclass("MCollective::Facts::#{name.capitalize}")
        else
          PluginManager << { type: 'facts_plugin', class: 'MCollective::Facts::Yaml_facts' }
        end
      end
    end

    # What sources of facts have in common: they implement load_facts_from_source, which returns all.
    class Base
      def self.inherited(klass)
        super
        return if klass.name.to_s.end_with?('::Yaml_facts')

        PluginManager.delete('facts_plugin')
        PluginManager << { type: 'facts_plugin', class: klass.to_s }
      end

      def initialize
        @facts = {}
        @last_facts_load = nil
      end

      def get_fact(fact = nil)
        facts = get_facts
        fact.nil? ? facts : facts[fact.to_s]
      end

      def get_facts # rubocop:disable Naming/AccessorMethodName
        reload if stale?
        @facts
      end

      def has_fact?(fact, value)
        get_fact(fact) == value
      end

      # A source that knows when its facts have changed says so here.
      def force_reload?
        false
      end

      private

      def stale?
        @last_facts_load.nil? || Time.now - @last_facts_load > Config.instance.fact_cache_time || force_reload?
      end

      def reload
        loaded = load_facts_from_source
        @facts = loaded.map { |name, value| [name.to_s, normalize(value)] }.to_h
        @last_facts_load = Time.now
      rescue StandardError => e
        # What was known is better than nothing.
        Log.error("Failed to load facts: #{e.class}: #{e}")
      end

      # Scalars are text, whatever the source holds them as.
      def normalize(value)
        case value
        when Hash then value.map { |k, v| [k.to_s, normalize(v)] }.to_h
        when Array then value.map { |v| normalize(v) }
        when nil then nil
        else value.to_s
        end
      end
    end
  end
end

require_relative 'facts/yaml_facts'
