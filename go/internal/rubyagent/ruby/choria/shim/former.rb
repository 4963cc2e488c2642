# frozen_string_literal: true

# What Ruby had when most agents were written, and what MCollective added to it. This process runs agents
# and nothing else, and they must not have to be changed. What is still there stays as it is.

# Until Ruby 3.1.
[File, Dir].each do |klass|
  klass.define_singleton_method(:exists?) { |path| exist?(path) } unless klass.respond_to?(:exists?)
end
%i[Fixnum Bignum].each { |name| Object.const_set(name, Integer) unless Object.const_defined?(name) }

# Anything could be matched against a pattern, and carried a mark of where it came from, until Ruby 3.1.
class Object
  define_method(:=~) { |_pattern| nil } unless method_defined?(:=~)
  %i[taint untaint].each { |name| define_method(name) { self } unless method_defined?(name) }
  define_method(:tainted?) { false } unless method_defined?(:tainted?)
end

# Until Ruby 2.7.
module URI
  { escape: :escape, encode: :escape, unescape: :unescape, decode: :unescape }.each do |name, now|
    next if RUBY_VERSION.start_with?('2.')

    define_singleton_method(name) do |*args|
      require 'uri'
      (defined?(URI::RFC2396_PARSER) ? URI::RFC2396_PARSER : URI::DEFAULT_PARSER).public_send(now, *args)
    end
  end
end

# Of MCollective.
class Array
  unless method_defined?(:in_groups_of)
    # Yields groups of so many elements, or returns them; the last one is filled up. A block of two
    # arguments is told whether a group is the last one.
    def in_groups_of(chunk_size, padded_with = nil, &block)
      groups = each_slice(chunk_size).map { |group| group + ([padded_with] * (chunk_size - group.size)) }
      return groups unless block

      groups.each_with_index { |group, i| block.arity == 2 ? yield(group, i == groups.size - 1) : yield(group) }
    end
  end
end
