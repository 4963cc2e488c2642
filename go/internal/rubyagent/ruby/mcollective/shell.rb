# frozen_string_literal: true

module MCollective
  # Runs one command and collects what it writes.
  #
  #   out = []
  #   shell = Shell.new('uptime', 'stdout' => out, 'timeout' => 5)
  #   shell.runcommand
  #   shell.status.exitstatus
  #
  # Output goes to whatever takes <<. The command runs in the directory of temporary files and with
  # LC_ALL=C unless told otherwise. After timeout seconds it is asked to end, and killed when it has
  # not two seconds later.
  class Shell
    # How long a command may take to end when it was asked to, in seconds.
    PATIENCE = 2

    attr_reader :environment, :command, :status, :stdout, :stderr, :stdin, :cwd, :timeout

    def initialize(command, options = {})
      @command = command
      @environment = { 'LC_ALL' => 'C' }
      @cwd = Dir.tmpdir
      @stdout = +''
      @stderr = +''
      options.each { |name, value| option(name.to_s, value) }
    end

    # Runs the command and returns its Process::Status. With stdin it gets that text, else nothing.
    def runcommand
      reader, pid = spawn_with_output
      @stdin_writer&.call
      guard = expire(pid) if @timeout.is_a?(Integer)
      kill_with_thread(pid) if @timeout == :on_thread_exit
      _, @status = Process.wait2(pid)
      reader.each(&:join)
      @status
    ensure
      guard&.kill
    end

    private

    def option(name, value)
      case name
      when 'stdout', 'stderr' then output(name, value)
      when 'stdin' then @stdin = text(value)
      when 'cwd' then directory(value)
      when 'environment' then @environment = value.nil? ? {} : @environment.merge(strings(value))
      when 'timeout' then limit(value)
      end
    end

    def output(name, target)
      raise("#{name} should support <<") unless target.respond_to?(:<<)

      instance_variable_set("@#{name}", target)
    end

    def text(value)
      raise('stdin should be a String') unless value.is_a?(String)

      value
    end

    def directory(path)
      raise("Directory #{path} does not exist") unless File.directory?(path)

      @cwd = path
    end

    def limit(value)
      valid = value == :on_thread_exit || value.nil? || (value.is_a?(Integer) && value.positive?)
      unless valid
        raise("timeout should be a positive integer or the symbol :on_thread_exit symbol, not #{value.inspect}")
      end

      @timeout = value
    end

    # Names and values as text. A value of nil takes the variable out of the environment.
    def strings(hash)
      hash.map { |name, value| [name.to_s, value&.to_s] }.to_h
    end

    # Starts the command, and a thread for each of its outputs.
    def spawn_with_output
      out, out_child = IO.pipe
      err, err_child = IO.pipe
      options = { chdir: @cwd, out: out_child, err: err_child, in: input }
      pid = Process.spawn(@environment, @command, options)
      [out_child, err_child, options[:in]].each { |io| io.close if io.is_a?(IO) }
      [[collect(out, @stdout), collect(err, @stderr)], pid]
    rescue SystemCallError
      [out, out_child, err, err_child].each(&:close)
      raise
    end

    # What the command reads: a pipe that a thread fills, since the command need not read it all.
    def input
      return File::NULL unless @stdin

      child, writer = IO.pipe
      @stdin_writer = lambda do
        Thread.new do
          writer.write(@stdin)
        rescue Errno::EPIPE
          nil # it was not interested
        ensure
          writer.close
        end
      end
      child
    end

    def collect(io, target)
      Thread.new do
        while (data = io.readpartial(65_536))
          target << data.force_encoding(Encoding.default_external)
        end
      rescue EOFError
        io.close
      end
    end

    def expire(pid)
      Thread.new do
        sleep(@timeout)
        kill(pid)
      end
    end

    # The command ends with the thread that runs it, which the timeout of an agent may end.
    def kill_with_thread(pid)
      thread = Thread.current
      Thread.new do
        thread.join
        kill(pid)
      end
    end

    def kill(pid)
      Process.kill('TERM', pid)
      sleep(PATIENCE)
      Process.kill('KILL', pid)
    rescue Errno::ESRCH, Errno::EPERM
      nil # it has ended
    end
  end
end
