# frozen_string_literal: true

require 'fileutils'
require 'zlib'

module PuppetX
  module Choria
    # Keeps what Ruby compiles, so that the next process need not compile it again: reading and compiling the
    # files of Puppet is half of the time that a playbook takes to start.
    #
    # All code is in one file for each version of Ruby. It is a header, an index and the code:
    #
    #   MAGIC, then as 32 bit numbers the length of the index and its CRC
    #   the index: path of a source file => its mtime in ns, its size, and offset, length and CRC of its code
    #   the code; offsets count from its beginning
    #
    # A file that is damaged anywhere is taken for less than there is. A new one replaces the old by a
    # rename, so that of processes that write at the same time one wins, and readers see one or the other.
    #
    # What is in it is run, so the playbook host makes sure that nobody else can write to its directory.
    class CodeCache
      MAGIC = "choria ruby code 1\n".b.freeze
      HEADER = MAGIC.bytesize + 8

      # How large the file may become, in bytes; Puppet alone needs 8 MB. When it would be larger, all is
      # dropped that this process has not used.
      MOST = 48 << 20

      # @return [CodeCache, nil] nil when the host gives no directory for one
      def self.from_environment
        dir = ENV.delete('CHORIA_PLAYBOOK_CACHE')
        new(dir, File.expand_path('../..', __dir__)) if dir
      end

      # @param dir [String] a directory that only the user can write to
      # @param except [String] a directory whose files are new in every run
      def initialize(dir, except)
        @path = File.join(dir, "#{RUBY_ENGINE}-#{RUBY_VERSION}-p#{RUBY_PATCHLEVEL}-#{RUBY_PLATFORM}.code")
        @except = "#{except}/"
        @index = {}
        @code = {} # what this process uses: path => mtime, size, CRC and code
        @new = false
        @open = true
        read
      end

      # Makes Ruby use the cache.
      def install
        cache = self
        RubyVM::InstructionSequence.define_singleton_method(:load_iseq) { |path| cache.load(path) }
      end

      # @return [RubyVM::InstructionSequence, nil] nil leaves the file to Ruby
      def load(path)
        return if !@open || path.start_with?(@except)

        stat = File.stat(path)
        key = [(stat.mtime.to_i * 1_000_000_000) + stat.mtime.nsec, stat.size]
        find(path, key) || compile(path, key)
      rescue SystemCallError, SyntaxError
        nil # Ruby says it better
      end

      # Writes what has been compiled, and ends the use of the cache: what is loaded later belongs to
      # single playbooks. That the cache cannot be written only costs time.
      def save
        @open = false
        write if @new
      rescue SystemCallError
        nil
      ensure
        @data = @code = @index = nil
      end

      private

      def read
        @data = File.binread(@path)
        length, crc = @data.byteslice(MAGIC.bytesize, 8)&.unpack('NN')
        index = @data.byteslice(HEADER, length || 0)
        return unless @data.start_with?(MAGIC) && index&.bytesize == length && Zlib.crc32(index) == crc

        @start = HEADER + length
        @index = Marshal.load(index) # rubocop:disable Security/MarshalLoad
      rescue SystemCallError
        nil # there is none yet
      end

      # @return [String, nil] the code at an entry of the index
      def code(entry)
        *, offset, length, crc = entry
        code = @data.byteslice(@start + offset, length)
        code if code && Zlib.crc32(code) == crc
      end

      def find(path, key)
        entry = @index[path]
        code = code(entry) if entry && entry[0, 2] == key
        return unless code

        iseq = RubyVM::InstructionSequence.load_from_binary(code)
        @code[path] = [*key, entry[4], code]
        iseq
      rescue RuntimeError
        nil # of another Ruby, in spite of the name
      end

      def compile(path, key)
        iseq = RubyVM::InstructionSequence.compile_file(path)
        code = iseq.to_binary
        @code[path] = [*key, Zlib.crc32(code), code]
        @new = true
        iseq
      rescue RuntimeError
        nil # some code has no binary form
      end

      # What the file had and this process did not need is kept for others while there is room.
      def kept
        others = @index.reject { |path, _| @code.key?(path) }
        return @code if others.sum { |_, entry| entry[3] } + @code.sum { |_, entry| entry[3].bytesize } > MOST

        others.each_with_object(@code.dup) do |(path, entry), all|
          code = code(entry)
          all[path] = [*entry[0, 2], entry[4], code] if code && File.exist?(path)
        end
      end

      def write
        entries = kept
        offset = 0
        places = entries.transform_values do |mtime, size, crc, code|
          offset += code.bytesize
          [mtime, size, offset - code.bytesize, code.bytesize, crc]
        end
        store(Marshal.dump(places), entries.each_value.map(&:last))
      end

      def store(index, codes)
        temporary = "#{@path}.#{Process.pid}"
        File.open(temporary, File::WRONLY | File::CREAT | File::EXCL | File::BINARY, 0o600) do |file|
          file.write(MAGIC, [index.bytesize, Zlib.crc32(index)].pack('NN'), index, *codes)
        end
        File.rename(temporary, @path)
      rescue SystemCallError
        FileUtils.rm_f(temporary)
      end
    end
  end
end
