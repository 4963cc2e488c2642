# frozen_string_literal: true

require_relative 'playbook_helper'
require 'puppet_x/choria/code_cache'
require 'tmpdir'

# What is kept of compiled code.
class CodeCacheTest < Minitest::Test
  def setup
    @dir = Dir.mktmpdir
    @source = File.join(@dir, 'a.rb')
    write(@source, '[41, 1].sum')
  end

  def teardown
    FileUtils.rm_rf(@dir)
  end

  # A file whose age is known: a change within the resolution of the clock could not be seen.
  def write(path, text, time = Time.at(1_000_000_000))
    File.write(path, text)
    File.utime(time, time, path)
  end

  def cache(except = '/nowhere')
    PuppetX::Choria::CodeCache.new(@dir, except)
  end

  def file
    Dir[File.join(@dir, '*.code')].first
  end

  # Loads and saves as one process does.
  def run_with(*paths)
    cache = cache()
    values = paths.map { |path| cache.load(path)&.eval }
    cache.save
    values
  end

  # What is taken from the cache is not read from the source: its text changes, its time and size do not.
  def cached?
    write(@source, '[43, 1].sum')
    run_with(@source) == [42]
  ensure
    write(@source, '[41, 1].sum')
  end

  def test_code_is_kept
    assert_equal [42], run_with(@source)
    assert_equal 0o600, File.stat(file).mode & 0o777
    assert cached?
    assert_equal [file, @source].sort, Dir[File.join(@dir, '*')].sort
  end

  def test_a_file_that_changed_is_compiled_again
    run_with(@source)
    write(@source, '[50, 1].sum', Time.at(1_000_000_001))
    assert_equal [51], run_with(@source)
    write(@source, '[150, 1].sum', Time.at(1_000_000_001))
    assert_equal [151], run_with(@source)
  end

  def test_damage_anywhere_is_survived
    run_with(@source)
    damaged(File.binread(file)) do |bad|
      File.binwrite(file, bad)
      assert_equal 42, cache.load(@source).eval, bad
    end
    assert_equal [42], run_with(@source)
    assert cached?
  end

  # Yields the content with each byte changed, and cut at each.
  def damaged(good)
    good.bytesize.times do |at|
      bad = good.dup
      bad.setbyte(at, bad.getbyte(at) ^ 0xff)
      yield bad
      yield good[0, at]
    end
  end

  def test_what_others_need_is_kept
    other = File.join(@dir, 'b.rb')
    write(other, '[].sum')
    run_with(@source)
    run_with(other)
    assert cached?
    size = File.size(file)
    File.unlink(other)
    write(@source, '[44, 1].sum', Time.at(1_000_000_002))
    run_with(@source)
    assert_operator File.size(file), :<, size
  end

  def test_some_files_are_left_to_ruby
    broken = File.join(@dir, 'broken.rb')
    write(broken, 'def')
    assert_equal [nil, nil], run_with(broken, File.join(@dir, 'missing.rb'))
    assert_nil cache(@dir).load(@source)
    assert_nil file
  end

  def test_writers_at_the_same_time
    children = Array.new(4) do |n|
      fork do
        source = File.join(@dir, "#{n}.rb")
        20.times do |round|
          write(source, "[#{n}, #{round}].sum", Time.at(round))
          exit!(1) unless run_with(source, @source) == [n + round, 42]
        end
        exit!(0)
      end
    end
    children.each { |child| assert_predicate Process.wait2(child)[1], :success? }
    assert cached?
  end

  def test_a_directory_that_cannot_be_written_to
    FileUtils.rm_rf(@dir)
    cache = PuppetX::Choria::CodeCache.new(@dir, '/nowhere')
    refute_nil cache.load(__FILE__)
    cache.save
    refute_path_exists @dir
  end
end
