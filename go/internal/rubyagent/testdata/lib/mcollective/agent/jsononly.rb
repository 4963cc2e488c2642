module MCollective
  module Agent
    class Jsononly < RPC::Agent
      action "go" do
        reply[:out] = "hello #{request[:name]}"
      end
    end
  end
end
