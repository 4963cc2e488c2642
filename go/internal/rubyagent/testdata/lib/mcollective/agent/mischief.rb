module MCollective
  module Agent
    # Does what agents should not.
    class Mischief < RPC::Agent
      action "do" do
        case request[:what]
        when "pid" then reply[:pid], reply[:ppid] = Process.pid, Process.ppid
        when "puts" then $stdout.puts "a word too many"
        when "raw" then STDOUT.syswrite "{\"statuscode\":0}\n"
        when "exit" then exit
        when "exit3" then $stderr.puts "on my way out"; exit 3
        when "exit!" then exit!(4)
        when "abort" then abort "aborted by myself"
        when "kill" then Process.kill(:KILL, Process.pid)
        when "segv" then Process.kill(:SEGV, Process.pid); sleep 5
        when "stderr" then 20.times { $stderr.puts "x" * 50_000 }
        when "stdout" then 20.times { $stdout.puts "x" * 50_000 }
        when "loop" then loop { $stdout.puts "x" * 1000 }
        when "hang" then trap("TERM", "IGNORE"); sleep 600
        when /\Afamily (.*)/
          File.write($1, [Process.pid, spawn("exec sleep 600"), fork { sleep 600 }].join(" "))
          sleep 600
        when /\Aleave (.*)/
          pid = spawn("exec sleep 600", :pgroup => true, :out => "/dev/null", :err => "/dev/null")
          Process.detach(pid)
          File.write($1, pid.to_s)
          reply[:left] = true
        when "heldopen" then spawn("exec sleep 3")
        when "binary" then reply[:bin] = "\xff\xfe\x00a".b; reply[:utf] = "\xc3\x28"; reply[:latin] = "\xe9".dup.force_encoding("ISO-8859-1")
        when "odd" then reply.data.merge!(:nan => 0.0 / 0, :inf => 1.0 / 0, :sym => :a, :time => Time.at(0).utc, :key => { 1 => 2, nil => 3 }, :big => 2**70)
        when "both" then reply[:a] = 1; reply["a"] = 2
        when "cycle" then a = []; a << a; reply[:a] = a
        when "nodata" then reply.data = nil
        when "status" then reply.statuscode = 77; reply.statusmsg = "odd"
        when "huge" then reply[:x] = "x" * 20_000_000
        when "deep" then reply[:x] = 1000.times.inject(1) { |x, _| [x] }
        when "close" then ObjectSpace.each_object(IO) { |io| io.close rescue nil }
        when "fds" then (3..64).each { |n| IO.for_fd(n).close rescue nil }
        when "thread" then Thread.new { sleep 600 }; reply[:ok] = 1
        when "atexit" then at_exit { sleep 600 }; reply[:ok] = 1
        when "parent" then Process.kill(:KILL, Process.ppid); sleep 600
        when "memory" then reply[:size] = File.read("/proc/self/statm").split[1].to_i
        when "stdin" then reply[:read] = $stdin.read
        when "exception" then raise Exception, "not a standard error"
        when "message" then raise "caf\xe9 \x00 \n two"
        end
      end
    end
  end
end
