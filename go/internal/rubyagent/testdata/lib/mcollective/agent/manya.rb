module MCollective
  module Agent
    class Manya < RPC::Agent
      action("pid") { reply[:ppid] = Process.ppid }
    end
  end
end
