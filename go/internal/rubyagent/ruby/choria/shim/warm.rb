# frozen_string_literal: true

module Choria
  module Shim
    # A process that has an agent loaded and forks for each request.
    #
    # The daemon is at the other end of a socket. It sends lines, and with each line "run TOKEN" three
    # descriptors: a channel that has the request as a line of JSON and takes the reply as another,
    # and the standard output and standard error of the action. "kill TOKEN" ends an action and all
    # that it started. The answers are lines of JSON:
    #
    #   {"ready":true,"fork":true}             requests may come
    #   {"forked":TOKEN,"pid":PID}
    #   {"ended":TOKEN,"status":0}             or "signal":9, or "error":"why there was no fork"
    #   {"loading":true}                       nothing is obeyed until "loading":false comes
    #
    # When the socket ends so does this process, and with it all actions that are running.
    class Warm
      # The longest line is far below this.
      CHUNK = 4096

      # What the name of a type of Puppet has before it among those of libraries.
      TYPE = 'type of Puppet: '

      def initialize(name, control, runner)
        @name = name
        @control = control
        @runner = runner
        @children = {}    # tokens by process id
        @descriptors = [] # those that came before their line was complete
        @buffer = +''
        @tried = {}       # libraries that were required here
      end

      def run
        $PROGRAM_NAME = "choria agent #{@name}"
        @deaths, @death = IO.pipe
        @lessons, @lesson = IO.pipe
        trap('CHLD') { @death.write_nonblock('.', exception: false) }
        @runner.prepare(@name)
        settle
        say('ready' => true, 'fork' => Process.respond_to?(:fork))
        serve
      rescue EOFError, Errno::ECONNRESET, Errno::EPIPE
        nil # the daemon has gone, or wants no more
      ensure
        @children.each_key { |pid| kill(pid) } if @owner.nil?
      end

      private

      def serve
        loop do
          readable, = IO.select([@control, @deaths])
          reap if readable.include?(@deaths)
          receive if readable.include?(@control)
        end
      end

      def say(message)
        @control.write("#{JSON.generate(message)}\n")
      end

      def receive
        data, _, _, *ancillary = @control.recvmsg(CHUNK, 0, nil, scm_rights: true)
        ancillary.each { |item| @descriptors.concat(item.unix_rights || []) }
        raise(EOFError) if data.nil? || data.empty?

        @buffer << data
        while (line = @buffer.slice!(/\A[^\n]*\n/))
          obey(*line.split)
        end
      end

      def obey(verb, token)
        case verb
        when 'run' then start(token, *@descriptors.shift(3))
        when 'kill' then kill(@children.key(token))
        else raise(EOFError, "#{verb}: no such command")
        end
      end

      def start(token, *descriptors)
        pid = fork { child(*descriptors) }
        @children[pid] = token
        say('forked' => token, 'pid' => pid)
      rescue SystemCallError, NotImplementedError => e
        say('ended' => token, 'error' => e.message)
      ensure
        descriptors.each(&:close) unless @owner
      end

      # In the child: runs one request.
      def child(channel, out, err)
        @owner = Process.pid # what the parent has to clean up is not the child's
        Process.setsid
        trap('CHLD', 'DEFAULT')
        redirect(out, err)
        [@control, @deaths, @death, @lessons].each(&:close)
        request = channel.gets
        return if request.nil? # nobody waits for it any more

        reply = @runner.answer(request) { |name| teach(name) }
        teach_types
        $stdout.flush
        channel.write("#{reply}\n")
        channel.close
      end

      def redirect(out, err)
        $stdin.reopen(File::NULL)
        $stdout.reopen(out)
        $stderr.reopen(err)
        $stderr.sync = true
        [out, err].each(&:close)
        MCollective::Log.unconfigure # it has the standard error of the parent
      end

      # Tells the parent what the action requires, unless it has that.
      def teach(name)
        return if @tried[name]

        @tried[name] = true
        # A pipe takes short texts as a whole or not at all, so that children do not mix.
        @lesson.write_nonblock("#{name}\n", exception: false) if name.bytesize < CHUNK
      end

      # Puppet loads its types, which takes longer than all the rest of it, without requiring them.
      def teach_types
        ::Puppet::Type.eachtype { |type| teach("#{TYPE}#{type.name}") } if defined?(::Puppet::Type)
      rescue StandardError => e # as NoMethodError of Puppet 5 while it has no type at all
        MCollective::Log.debug("Types of Puppet: #{e.class}: #{e}")
      end

      # Requires what an action required, so that the next one need not.
      def learn
        names = @lessons.read_nonblock(CHUNK * 16, exception: false)
        return unless names.is_a?(String)

        fresh = names.split("\n").reject { |name| name.empty? || @tried[name] }
        return if fresh.empty?

        say('loading' => true)
        fresh.each { |name| try(name) }
        settle
        say('loading' => false)
      end

      def try(name)
        @tried[name] = true
        return require(name) unless name.start_with?(TYPE)

        ::Puppet::Type.type(name.delete_prefix(TYPE).to_sym) if defined?(::Puppet::Type)
      rescue StandardError, ScriptError
        nil # it needs something that the action did before
      end

      # Gets memory in order: what is not moved any more stays shared with the children.
      def settle
        Process.respond_to?(:warmup) ? Process.warmup : GC.start
      end

      def reap
        @deaths.read_nonblock(CHUNK, exception: false)
        @children.keys.each do |pid| # rubocop:disable Style/HashEachMethods
          ended, status = Process.wait2(pid, Process::WNOHANG)
          next unless ended

          token = @children.delete(pid)
          say({ 'ended' => token, 'status' => status.exitstatus, 'signal' => status.termsig }.compact)
        end
        learn # now nobody waits for the end of the one that has found out
      end

      # Ends a child with all of its group. It may not have come to make itself one yet.
      def kill(pid)
        return if pid.nil?

        [-pid, pid].each do |target|
          Process.kill('KILL', target)
        rescue Errno::ESRCH, Errno::EPERM
          nil
        end
      end
    end
  end
end
