# frozen_string_literal: true

require 'digest/sha2'
require 'uri'

module MCollective
  module Util
    # Runs Bolt tasks: files come from the Puppet server into a cache, are copied for each run into a
    # spool, and a wrapper program of Puppet runs them and keeps what they write.
    class TasksSupport
      WRAPPERS = %w[task_wrapper execution_wrapper].freeze
      TRIES = 2

      attr_reader :cache_dir, :choria

      def initialize(choria, cache_dir = nil)
        @choria = choria
        @cache_dir = cache_dir || File.join(base_dir, 'tasks-cache')
      end

      def tasks_spool_dir
        File.join(base_dir, 'tasks-spool')
      end

      def wrapper_path
        default = WRAPPERS.map { |name| File.join('/opt/puppetlabs/puppet/bin', name) }
        @choria.get_option('choria.tasks.wrapper_path') || default.find { |path| File.exist?(path) } || default.first
      end

      def tasks_compatible?
        File.file?(wrapper_path) && File.executable?(wrapper_path)
      end

      # Whether all files are in the cache as they should be.
      def cached?(files)
        files.all? { |file| file_valid?(cache_file(file), file) }
      end

      # Downloads what is not in the cache; false when some of it could not be had.
      def download_files(files)
        files.reject { |file| cached?([file]) }.all? { |file| download(file) }
      end

      # Starts a task, and waits for its end if told to. Returns its status.
      def run_task_command(request_id, task, wait = true, callerid = 'local')
        raise("Task wrapper #{wrapper_path} cannot be run") unless tasks_compatible?

        spool = create_spool(request_id)
        request = task_request(spool, task)
        save(spool, 'choria.json', JSON.generate('start_time' => Time.now.utc.to_i, 'caller' => callerid,
                                                 'task' => task['task'], 'request' => request))
        spawn_wrapper(spool, request, environment(spool, request_id, callerid, task))
        wait_for_completion(request_id) if wait
        task_status(request_id)
      end

      def task_ran?(request_id)
        File.directory?(spool_for(request_id))
      end

      def task_complete?(request_id)
        !read(request_id, 'exitcode').empty? || !read(request_id, 'wrapper_stderr').empty?
      end

      def task_failed?(status)
        return true unless status['wrapper_spawned']

        status['exitcode'].positive?
      end

      # What is known of a task.
      def task_status(request_id)
        raise("Task #{request_id} has not been requested") unless task_ran?(request_id)

        started = JSON.parse(read(request_id, 'choria.json'))
        wrapper_error = read(request_id, 'wrapper_stderr')
        status = {
          'spool' => spool_for(request_id), 'task' => started['task'], 'caller' => started['caller'],
          'stderr' => read(request_id, 'stderr'), 'exitcode' => exitcode(request_id),
          'start_time' => Time.at(started['start_time']),
          'completed' => task_complete?(request_id), 'runtime' => runtime(request_id, started['start_time']),
          'wrapper_error' => wrapper_error, 'wrapper_pid' => read(request_id, 'wrapper_pid').to_i,
          'wrapper_spawned' => wrapper_error.empty? && !read(request_id, 'wrapper_pid').empty?
        }
        status.merge('stdout' => create_task_stdout(status, read(request_id, 'stdout')))
      end

      private

      def base_dir
        @choria.get_option('choria.tasks.directory') ||
          (Process.uid.zero? ? '/opt/puppetlabs/mcollective' : File.expand_path('~/.puppetlabs/mcollective'))
      end

      def cache_file(file)
        digest = file['sha256'].to_s.downcase
        raise("#{file['filename']}: no SHA256 digest") unless digest.match?(/\A\h{64}\z/)

        File.join(@cache_dir, digest)
      end

      def file_valid?(path, file)
        File.file?(path) && File.size(path) == file['size_bytes'] &&
          Digest::SHA256.file(path).hexdigest == file['sha256'].downcase
      end

      def download(file)
        TRIES.times do
          return true if fetch(file)
        rescue StandardError => e
          Log.warn("Task file #{file['filename']} cannot be downloaded: #{e.class}: #{e}")
        end
        false
      end

      # Downloads one file beside its place and moves it there when it is right.
      def fetch(file)
        FileUtils.mkdir_p(@cache_dir, mode: 0o750)
        Tempfile.create('task', @cache_dir) do |temp|
          temp.binmode
          get(file['uri']) { |chunk| temp.write(chunk) }
          temp.close
          raise('size or digest differ from what was announced') unless file_valid?(temp.path, file)

          File.rename(temp.path, cache_file(file))
          File.open(temp.path, 'w').close # for Tempfile to remove
        end
        true
      end

      def get(uri, &block)
        server = @choria.puppet_server
        request = @choria.http_get("#{uri['path']}?#{URI.encode_www_form(uri['params'] || {})}",
                                   'Accept' => 'application/octet-stream')
        @choria.https(server).start do |http|
          http.request(request) do |response|
            raise("#{server[:target]} answers #{response.code}") unless response.code == '200'

            response.read_body(&block)
          end
        end
      end

      def spool_for(request_id)
        raise("#{request_id.inspect}: no id of a task") unless request_id.to_s.match?(/\A[a-zA-Z0-9]+\z/)

        File.join(tasks_spool_dir, request_id)
      end

      def create_spool(request_id)
        spool = spool_for(request_id)
        FileUtils.mkdir_p(tasks_spool_dir, mode: 0o750)
        Dir.mkdir(spool, 0o750)
        spool
      rescue Errno::EEXIST
        raise("Task #{request_id} has been run before")
      end

      def save(spool, name, text)
        File.open(File.join(spool, name), 'w', 0o640) { |f| f.write(text) }
      end

      def read(request_id, name)
        path = File.join(spool_for(request_id), name)
        File.exist?(path) ? File.read(path, encoding: 'UTF-8').scrub : ''
      end

      # The document that the wrapper reads.
      def task_request(spool, task)
        files = copy_files(spool, task)
        input = %w[stdin both powershell].include?(input_method(task)) ? task['input'].to_s : ''
        { 'executable' => files.first, 'arguments' => [], 'input' => input, 'stdout' => File.join(spool, 'stdout'),
          'stderr' => File.join(spool, 'stderr'), 'exitcode' => File.join(spool, 'exitcode') }
      end

      def input_method(task)
        method = task['input_method'].to_s
        return method unless method.empty?

        task['files'].first['filename'].end_with?('.ps1') ? 'powershell' : 'both'
      end

      def copy_files(spool, task)
        task['files'].map do |file|
          target = spool_file(spool, task, file['filename'].to_s)
          FileUtils.mkdir_p(File.dirname(target), mode: 0o750)
          FileUtils.cp(cache_file(file), target)
          File.chmod(0o750, target)
          target
        end
      end

      # The first files are those of the task itself; others say what module they are of.
      def spool_file(spool, task, name)
        if name.empty? || name.start_with?('/') || name.split('/').include?('..')
          raise("#{name.inspect}: no name of a task file")
        end

        return File.join(spool, 'files', name) if name.include?('/')

        File.join(spool, 'files', task['task'].split('::').first, 'tasks', name)
      end

      def environment(spool, request_id, callerid, task)
        env = { '_task' => task['task'], '_choria_task_id' => request_id, '_choria_task_caller' => callerid,
                'PT__task' => task['task'], 'PT__installdir' => File.join(spool, 'files') }
        return env unless %w[environment both].include?(input_method(task))

        JSON.parse(task['input'].to_s.empty? ? '{}' : task['input']).each do |name, value|
          env["PT_#{name}"] = value.is_a?(String) ? value : value.to_json
        end
        env
      end

      # The wrapper goes on when the action has ended.
      def spawn_wrapper(spool, request, env)
        save(spool, 'wrapper_stdin', JSON.generate(request))
        files = %w[stdin stdout stderr].map { |name| File.join(spool, "wrapper_#{name}") }
        pid = Process.spawn(env, wrapper_path, chdir: '/', pgroup: true, in: files[0],
                                               out: [files[1], 'w', 0o640], err: [files[2], 'w', 0o640])
        save(spool, 'wrapper_pid', pid.to_s)
        Process.detach(pid)
      end

      def wait_for_completion(request_id)
        sleep(0.1) until task_complete?(request_id)
      end

      def exitcode(request_id)
        text = read(request_id, 'exitcode').strip
        text.match?(/\A-?\d+\z/) ? text.to_i : -1
      end

      def runtime(request_id, started)
        path = File.join(spool_for(request_id), 'exitcode')
        ((File.size?(path) ? File.mtime(path) : Time.now) - started).to_f.round(3)
      end

      # The output of a task as an object, with an error for one that failed and has none.
      def create_task_stdout(status, text)
        stdout = parse_output(text)
        failed = status['completed'] && (status['exitcode'] != 0 || !status['wrapper_error'].empty?)
        return stdout if !failed || stdout.include?('_error')

        stdout.merge('_error' => task_error(status))
      end

      def task_error(status)
        if status['wrapper_error'].empty?
          return { 'kind' => 'choria.tasks/task-error', 'msg' => "The task failed with exit code #{status['exitcode']}",
                   'details' => { 'exitcode' => status['exitcode'] } }
        end

        { 'kind' => 'choria/wrapper_failed', 'msg' => "The wrapper failed: #{status['wrapper_error']}",
          'details' => {} }
      end

      def parse_output(text)
        object = JSON.parse(text)
        object.is_a?(Hash) ? object : { '_output' => text }
      rescue JSON::ParserError
        { '_output' => text }
      end
    end
  end
end
