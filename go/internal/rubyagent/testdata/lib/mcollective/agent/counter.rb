module MCollective
  module Agent
    class Counter < RPC::Agent
      action "square" do
        reply[:square] = request[:n] * request[:n]
        reply[:siblings] = File.read("/proc/#{Process.ppid}/task/#{Process.ppid}/children").split.size
        reply[:parent] = Process.ppid
        reply[:id] = request.uniqid
      end
    end
  end
end
