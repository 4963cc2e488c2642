#!/usr/bin/env ruby
# frozen_string_literal: true

# The type of task acme::page: pages people, each by a program of the company.
#
#     choria::task('acme::page', { 'people' => ['jo', 'kim'], 'text' => 'The database is down' })

require 'json'
require 'open3'

request = JSON.parse($stdin.read)
properties = request['properties']
people = properties['people']

# What is wrong with the request ends the task, and other tries are of no use.
unless people.is_a?(Array) && !people.empty? && properties['text'].is_a?(String)
  puts JSON.generate('error' => 'acme::page wants people, a list of names, and text')
  exit
end

results = people.map do |person|
  output, status = Open3.capture2e(properties.fetch('pager', 'pager'), person, stdin_data: "#{properties['text']}\n")
  result = { 'host' => person, 'value' => output.chomp }
  result['error'] = { 'msg' => "#{person} was not paged: #{output.chomp}" } unless status.success?
  result
end

reached = results.count { |result| !result.key?('error') }
puts JSON.generate('results' => results, 'message' => "#{reached} of #{people.length} people were paged")
