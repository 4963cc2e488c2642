# frozen_string_literal: true

require 'date'
require 'yaml'

module MCollective
  module Facts
    # Facts from the YAML or JSON files of the setting plugin.yaml; those of later files win.
    class Yaml_facts < Base # rubocop:disable Naming/ClassAndModuleCamelCase
      def initialize
        @times = nil
        super
      end

      def load_facts_from_source
        @times = times
        files.select { |file| File.exist?(file) }.map { |file| parse(file) }.reduce({}, :merge)
      end

      def force_reload?
        @times != times
      end

      private

      def files
        Config.instance.pluginconf.fetch('yaml', '').split(File::PATH_SEPARATOR)
      end

      def times
        files.map { |file| File.exist?(file) ? File.mtime(file) : nil }
      end

      # JSON is YAML nearly always, and not worth the exception.
      def parse(file)
        text = File.read(file, encoding: 'UTF-8')
        facts = file.end_with?('.json') ? JSON.parse(text) : yaml(text)
        facts.is_a?(Hash) ? facts : {}
      rescue StandardError => e
        Log.error("Failed to load facts from #{file}: #{e.class}: #{e}")
        {}
      end

      # Dates and symbols occur in fact files. How to allow them has changed with Psych 3.1.
      def yaml(text)
        classes = [Date, Symbol, Time]
        keywords = YAML.method(:safe_load).parameters.map(&:last)
        if keywords.include?(:permitted_classes)
          return YAML.safe_load(text, permitted_classes: classes,
                                      aliases: true)
        end

        YAML.safe_load(text, classes, [], true)
      end
    end
  end
end
