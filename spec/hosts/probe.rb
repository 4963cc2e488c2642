# frozen_string_literal: true

# Boots a machine that has nothing of ours, on a network of its own, and stops it: whether machines can be had
# here. Its argument is the release.

require_relative 'helper'

name = 'probe.example.net'
Network.new(Made.path('probe'), name).host(name, tree: File.join(Made::TREES, ARGV.fetch(0))).halt
