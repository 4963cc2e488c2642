# frozen_string_literal: true

require 'open3'

# Programs of the machine that the hosts are on.
module Command
  # Runs it, and raises what it said when it fails.
  def self.run(*command)
    output, status = Open3.capture2e(*command)
    raise "#{command.join(' ')}: #{output}" unless status.success?
  end
end

# Waiting for what comes in its time.
module Wait
  PATIENCE = 180

  # The first value of the block that is one. After so many seconds it raises, with what the program says.
  def self.for(what, detail = -> { '' }, patience: PATIENCE)
    deadline = now + patience
    until (value = yield)
      raise "waited #{patience} s for #{what}: #{detail.call}" if now > deadline

      sleep 0.2
    end
    value
  end

  def self.now
    Process.clock_gettime(Process::CLOCK_MONOTONIC)
  end
end
