require "mcollective/util/choria"
require "mcollective/util/tasks_support"

module MCollective
  module Agent
    # Uses what an agent that runs Bolt tasks does.
    class Tasker < RPC::Agent
      def tasks
        Util::Choria.new.tasks_support
      end

      action "download" do
        files = JSON.parse(request[:files])
        reply[:before] = tasks.cached?(files)
        reply[:done] = tasks.download_files(files)
        reply[:after] = tasks.cached?(files)
      end

      action "run" do
        reply.fail!("not compatible") unless tasks.tasks_compatible?
        task = { "task" => request[:task], "input_method" => request[:input_method], "input" => request[:input], "files" => JSON.parse(request[:files]) }
        report(tasks.run_task_command(request[:id], task, request[:wait], request.caller))
      end

      action "status" do
        reply.fail!("has not been run", 3) unless tasks.task_ran?(request[:id])
        report(tasks.task_status(request[:id]))
      end

      def report(status)
        reply.data.merge!(status.reject { |k, _| k == "start_time" })
        reply[:started] = status["start_time"].to_i
        reply[:failed] = tasks.task_failed?(status)
      end
    end
  end
end
