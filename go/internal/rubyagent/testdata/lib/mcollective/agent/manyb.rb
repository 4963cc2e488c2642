module MCollective
  module Agent
    class Manyb < RPC::Agent
      action("pid") { reply[:ppid] = Process.ppid }
    end
  end
end
