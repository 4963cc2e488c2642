#!/usr/bin/env ruby
# frozen_string_literal: true

# The data store acme::directory: a directory in which every item is a file of JSON, and every lock another.
#
#     choria::data('version', { 'type' => 'acme::directory', 'directory' => '/srv/plans' })

require 'fileutils'
require 'json'
require 'time'

request = JSON.parse($stdin.read)
directory = request['properties'].fetch('directory')
# No item is outside of the directory, whatever it is called.
name = request['item'].gsub(/[^A-Za-z0-9_-]/) { |char| format('%%%02x', char.ord) }
item = File.join(directory, "#{name}.json")

# Calls the block with what the lock is, which the block may change. The kernel makes sure that it is alone.
def lock(path)
  File.open(path, File::RDWR | File::CREAT, 0o600) do |file|
    file.flock(File::LOCK_EX)
    text = file.read
    state = text.empty? ? {} : JSON.parse(text)
    state = {} if state['until'] && Time.parse(state['until']) < Time.now
    answer = yield state
    file.rewind
    file.truncate(0)
    file.write(JSON.generate(state))
    answer
  end
end

def hold(state, request)
  state.replace('holder' => request['holder'], 'until' => (Time.now + request['ttl']).iso8601(3))
  { 'held' => true }
end

answer =
  case request['action']
  when 'read'
    File.exist?(item) ? { 'value' => JSON.parse(File.read(item)) } : { 'missing' => true }
  when 'write'
    File.write("#{item}.#{Process.pid}", JSON.generate(request['value']), perm: 0o600)
    File.rename("#{item}.#{Process.pid}", item)
    {}
  when 'delete'
    FileUtils.rm_f(item)
    {}
  when 'lock'
    lock("#{item}.lock") { |state| state.empty? ? hold(state, request) : { 'held' => false } }
  when 'renew'
    lock("#{item}.lock") { |state| state['holder'] == request['holder'] ? hold(state, request) : { 'held' => false } }
  when 'unlock'
    lock("#{item}.lock") { |state| state['holder'] == request['holder'] ? state.clear : nil }
    {}
  else
    { 'unsupported' => true }
  end

puts JSON.generate(answer)
