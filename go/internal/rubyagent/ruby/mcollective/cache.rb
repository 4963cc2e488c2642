# frozen_string_literal: true

module MCollective
  # Values that are remembered for a while, in named caches.
  module Cache
    # One value and when it was stored.
    Item = Struct.new(:value, :created)

    @caches = {}
    @lock = Mutex.new

    class << self
      # Makes a cache unless there is one of that name. ttl is in seconds.
      def setup(cache_name, ttl = 300)
        @lock.synchronize do
          return true if @caches.key?(cache_name)

          @caches[cache_name] = { ttl: Float(ttl), items: {}, lock: Mutex.new }
        end
        true
      end

      def has_cache?(cache_name)
        @lock.synchronize { @caches.key?(cache_name) }
      end

      # Forgets a cache; false when there is none of that name.
      def delete!(cache_name)
        @lock.synchronize { !@caches.delete(cache_name).nil? }
      end

      def write(cache_name, key, value)
        fetch(cache_name)[:items][key] = Item.new(value, Time.now)
        value
      end

      # Returns a value; one that is unknown or too old is an error.
      def read(cache_name, key)
        raise("cache #{cache_name}: the value of #{key} has expired") unless ttl(cache_name, key).positive?

        fetch(cache_name)[:items][key].value
      end

      # Returns for how many more seconds a value is good; negative when it has expired.
      def ttl(cache_name, key)
        cache = fetch(cache_name)
        item = cache[:items][key] || raise("cache #{cache_name}: there is no #{key}")
        cache[:ttl] - (Time.now - item.created)
      end

      def invalidate!(cache_name, key)
        fetch(cache_name)[:items].delete(key)
      end

      # Runs the block while nobody else is in a block of the same cache.
      def synchronize(cache_name, &block)
        fetch(cache_name)[:lock].synchronize(&block)
      end

      private

      def fetch(cache_name)
        @lock.synchronize { @caches[cache_name] } || raise("cache #{cache_name}: there is no such cache")
      end
    end
  end
end
