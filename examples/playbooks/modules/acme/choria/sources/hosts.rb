#!/usr/bin/env ruby
# frozen_string_literal: true

# The source of nodes acme::hosts: a file with one node a line, its name and its role.
#
#     choria::discover('acme::hosts', { 'file' => '/srv/hosts.txt', 'role' => 'web' })

require 'json'

properties = JSON.parse($stdin.read)['properties']

begin
  hosts = File.readlines(properties.fetch('file'), chomp: true).map(&:split)
rescue SystemCallError, KeyError => e
  puts JSON.generate('error' => e.message)
  exit
end

nodes = hosts.select { |_, role| properties['role'].nil? || role == properties['role'] }.map(&:first)
puts JSON.generate('nodes' => nodes)
