# frozen_string_literal: true

# What the compiler warns of while the catalogue is made. A catalogue is only made once for the same
# parameters, so those of the example are what it is to warn of.
module Warnings
  def warnings
    @warnings ||= begin
      logs = []
      destination = Puppet::Test::LogCollector.new(logs)
      Puppet::Util::Log.newdestination(destination)
      catalogue
      logs.select { |log| log.level == :warning }.map(&:message)
    ensure
      Puppet::Util::Log.close(destination)
    end
  end
end

require 'puppet/test/test_helper'

RSpec.configure { |config| config.include Warnings }
