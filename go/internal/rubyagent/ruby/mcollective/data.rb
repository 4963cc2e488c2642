# frozen_string_literal: true

require_relative 'data/base'
require_relative 'data/result'

module MCollective
  # Data plugins: small questions about the node, for filters mostly.
  module Data
    class << self
      # Loads the plugins of the library directories and forgets those that do not apply here.
      def load_data_sources
        PluginManager.find_and_load('data')
        PluginManager.grep(/_data\z/i).each do |plugin|
          PluginManager.delete(plugin) unless PluginManager[plugin].class.activate?
        rescue StandardError => e
          Log.debug("Disabling data plugin #{plugin}: #{e.class}: #{e}")
          PluginManager.delete(plugin)
        end
      end

      # Returns a plugin by name, with or without _data.
      def [](plugin)
        PluginManager[pluginname(plugin)]
      end

      def pluginname(plugin)
        "#{plugin.to_s.downcase.sub(/_data\z/, '')}_data"
      end

      def ddl(plugin)
        DDL.new(pluginname(plugin), :data)
      end

      # Data.NAME(query) asks the plugin NAME.
      def method_missing(method, *args)
        return super unless PluginManager.include?(pluginname(method))

        self[method].lookup(args.first)
      end

      def respond_to_missing?(method, include_private = false)
        PluginManager.include?(pluginname(method)) || super
      end
    end
  end
end
