module MCollective
  module Agent
    class Puppetized < RPC::Agent
      action "version" do
        require "puppet"

        start = Process.clock_gettime(Process::CLOCK_MONOTONIC)
        reply[:version] = ::Puppet.version
        reply[:seconds] = Process.clock_gettime(Process::CLOCK_MONOTONIC) - start
      end
    end
  end
end
