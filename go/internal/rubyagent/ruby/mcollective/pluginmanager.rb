# frozen_string_literal: true

module MCollective
  # Finds, loads and holds plugins. A plugin is an instance of a class that is made when it is first
  # asked for.
  module PluginManager
    @plugins = {}

    class << self
      # Registers a plugin: { :type => name, :class => class, its name or an instance, and
      # :single_instance => false for one that is made anew each time }.
      def <<(plugin)
        type = plugin[:type]
        klass = plugin[:class]
        raise("plugin #{type}: there is one already") if @plugins.include?(type)

        instance = klass.is_a?(String) || klass.is_a?(Class) ? nil : klass
        @plugins[type] = { loadtime: Time.now, class: klass, instance: instance,
                           single: plugin.fetch(:single_instance, true) }
      end

      def include?(type)
        @plugins.include?(type)
      end

      # Returns the instance of a plugin. An agent, as NAME_agent, is loaded when it is asked for.
      def [](type)
        plugin = @plugins[type] || agent(type) || raise("plugin #{type}: there is no such plugin")
        return create(plugin[:class]) unless plugin[:single]

        plugin[:instance] ||= create(plugin[:class])
      end

      def delete(type)
        @plugins.delete(type)
      end

      def clear
        @plugins.clear
      end

      def pluginlist
        @plugins.keys.sort_by(&:to_s)
      end

      # Returns the names of plugins that match.
      def grep(regex)
        @plugins.keys.grep(regex)
      end

      # Loads the file of a class: A::B::CdE is a/b/cde.rb somewhere in the load path. It is loaded
      # again each time, so that what is on disk counts.
      def loadclass(klass, squash_failures = false)
        load("#{klass.gsub('::', '/').downcase}.rb")
      rescue StandardError, LoadError, SyntaxError => e
        Log.error("Failed to load #{klass}: #{e.class}: #{e}")
        raise unless squash_failures
      end

      # Returns the names of the plugins of a type that are on disk.
      def find(type, extension = 'rb')
        extension = ".#{extension.to_s.sub(/\A\./, '')}"
        Config.instance.libdir.flat_map do |dir|
          Dir.glob(File.join(dir, 'mcollective', type.to_s, "*#{extension}")).map { |f| File.basename(f, extension) }
        end.uniq.sort
      end

      # Loads the plugins of a type that are on disk, those for which the block is true if there is one.
      def find_and_load(type, extension = 'rb', &block)
        names = find(type, extension)
        names = names.select(&block) if block_given?
        names.map do |name|
          "MCollective::#{type.to_s.capitalize}::#{name.capitalize}".tap { |klass| loadclass(klass, true) }
        end
      end

      private

      def agent(type)
        name = type.to_s[/\A([a-z0-9_]+)_agent\z/, 1]
        instance = name && Agents.plugin(name)
        @plugins[type] = { loadtime: Time.now, class: instance.class, instance: instance, single: true } if instance
      end

      def create(klass)
        klass = Object.const_get(klass) if klass.is_a?(String)
        klass.new
      end
    end
  end
end
