# frozen_string_literal: true

module MCollective
  module RPC
    # Runs an action that is a program: it gets the names of a file with the request and of one for
    # the reply, both JSON.
    class ActionRunner
      attr_reader :command, :agent, :action, :format, :stdout, :stderr, :request

      def initialize(command, request, format = :json)
        @agent = request.agent
        @action = request.action
        @format = format
        @request = request
        @command = path_to_command(command)
        @stdout = +''
        @stderr = +''
      end

      # Runs it and returns { :exitstatus => …, :data => … }.
      def run
        raise("action format #{@format}: want json") unless @format == :json
        raise("cannot run #{@command}: no such program, or it is not executable") unless canrun?(@command)

        Dir.mktmpdir('mcollective-action') { |dir| run_in(dir) }
      end

      # Where a program is: an absolute path, or beside the agents of a library directory.
      def path_to_command(command)
        return command if Util.absolute_path?(command)

        candidates = Config.instance.libdir.flat_map do |dir|
          [File.join(dir, 'mcollective', 'agent', @agent, command), File.join(dir, 'agent', @agent, command)]
        end
        candidates.find { |path| File.exist?(path) } || candidates.first || command
      end

      def canrun?(command)
        File.file?(command) && File.executable?(command)
      end

      private

      def run_in(dir)
        request_file, reply_file = %w[request.json reply.json].map { |name| File.join(dir, name) }
        File.write(request_file, request_json)
        File.write(reply_file, '')
        exitstatus = execute(request_file, reply_file)
        { exitstatus: exitstatus, data: load_results(reply_file) }
      end

      def request_json
        JSON.generate('agent' => @agent, 'action' => @action, 'data' => @request.data, 'sender' => @request.sender,
                      'callerid' => @request.caller, 'uniqid' => @request.uniqid)
      end

      def execute(request_file, reply_file)
        environment = { 'MCOLLECTIVE_REQUEST_FILE' => request_file, 'MCOLLECTIVE_REPLY_FILE' => reply_file }
        shell = Shell.new([@command, request_file, reply_file].map { |word| Util.shellescape(word) }.join(' '),
                          'cwd' => Dir.tmpdir, 'stdout' => @stdout, 'stderr' => @stderr, 'environment' => environment)
        shell.runcommand
        Log.info("#{@command} wrote: #{@stdout.chomp}") unless @stdout.empty?
        Log.error("#{@command} wrote to standard error: #{@stderr.chomp}") unless @stderr.empty?
        shell.status.exitstatus || -1
      end

      def load_results(file)
        text = File.read(file, encoding: 'UTF-8')
        return {} if text.strip.empty?

        data = JSON.parse(text)
        raise('want a JSON object') unless data.is_a?(Hash)

        data
      rescue StandardError => e
        Log.error("Reply of #{@command} is not understood: #{e.class}: #{e}")
        {}
      end
    end
  end
end
