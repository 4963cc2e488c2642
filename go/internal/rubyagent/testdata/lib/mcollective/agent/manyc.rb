module MCollective
  module Agent
    class Manyc < RPC::Agent
      action("pid") { reply[:ppid] = Process.ppid }
    end
  end
end
