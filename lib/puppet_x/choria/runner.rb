# frozen_string_literal: true

# Runs playbooks with Puppet as a library. The playbook host starts this file with one end of a socket
# pair; see host.rb for what is said on it:
#
#   hello  protocol, dir, bundled, modulepath, level, facts and what to do: plan or validate
#   ready  modulepath, versions and the signature of the plan, or what is wrong with it
#   run    the parameters of the plan
#   done   the result or the failure
#
# Nothing is collected as garbage until Puppet is loaded, which is a third of the time it takes.
GC.disable

require 'json'
require 'socket'
require_relative 'code_cache'

module PuppetX
  module Choria
    # One process runs one command: it describes a plan, and then runs it if told to.
    class Runner
      # The oldest Puppet whose evaluator is known to fit.
      OLDEST = '7.0.0'

      # @param socket [IO] the socket to the host
      # @param cache [CodeCache, nil] keeps what Ruby compiles
      def initialize(socket, cache)
        @socket = socket
        @cache = cache
      end

      def main
        load_puppet
        @host = Host.new(@socket)
        Shelter.install
        Host.current = @host
        serve(@host.receive['params'])
      rescue Interrupt => e
        done('error' => Failure.describe(e))
      end

      private

      # Loads Puppet, or tells the host why not and ends.
      def load_puppet
        @cache&.install
        require 'puppet_pal'
        unless Puppet::Util::Package.versioncmp(Puppet.version, OLDEST) >= 0
          unusable("Puppet #{Puppet.version} is older than #{OLDEST}")
        end
        require_relative 'host'
        require_relative 'failure'
        require_relative 'facts'
        require_relative 'positions'
        require_relative 'numbers'
        require_relative 'ordinary'
        require_relative 'signature'
        Puppet.runtime[:facter] = Facts.new
        Object.autoload(:Facter, 'facter') unless defined?(Facter)
      rescue LoadError => e
        unusable(e.message)
      end

      def unusable(reason)
        @socket.puts(JSON.generate('method' => 'unusable', 'params' => { 'reason' => reason }))
        exit!(3)
      end

      def serve(hello)
        unless hello['protocol'] == Host::PROTOCOL
          return unusable("the host speaks protocol #{hello['protocol']}, this module #{Host::PROTOCOL}")
        end

        configure(hello)
        Places.bundled = hello['bundled'].first
        Positions.track
        Ordinary.install
        Numbers.install
        with_compiler(hello) { |modulepath| work(hello, modulepath) }
      end

      def configure(hello)
        settings = Puppet::Settings::REQUIRED_APP_SETTINGS.flat_map { |name| ["--#{name}", hello['dir']] }
        Puppet.initialize_settings(settings + ['--certname', 'localhost'], false)
        require_relative 'log'
        Puppet::Util::Log.close_all
        Puppet::Util::Log.newdestination(:choria)
        Puppet[:log_level] = hello['level']
      end

      def with_compiler(hello, &block)
        modulepath = hello['bundled'] + (hello['modulepath'] || default_modulepath)
        Puppet::Pal.in_tmp_environment('choria', modulepath: modulepath, facts: hello['facts']) do |pal|
          # What fails inside is reported from inside, so that Puppet does not log it as well.
          pal.with_script_compiler { block.call(modulepath) }
        end
      end

      # The module path of the installed Puppet for the user who runs us. Its own setting points to the
      # private directory by now.
      def default_modulepath
        path = Puppet.settings.setting(:basemodulepath).default
        path = path.gsub('$codedir', Puppet::Util::RunMode[:user].code_dir)
        path.split(File::PATH_SEPARATOR).reject(&:empty?)
      end

      def work(hello, modulepath)
        # An object is only seen as its Puppet type once the type is loaded.
        Puppet.lookup(:loaders).private_environment_loader.load(:type, 'choria::taskresults')
        ready = { 'modulepath' => modulepath, 'puppet' => Puppet.version, 'ruby' => RUBY_VERSION }
        ready['problems'] = validate(hello['validate']) if hello['validate']
        plan = prepare(hello['plan'], ready) if hello['plan']
        GC.enable
        @host.notify('ready', ready)
        @cache&.save
        run(plan, @host.receive['params']) if plan
      end

      # Finds the plan; what is wrong with it goes into ready.
      def prepare(name, ready)
        plan = Plans.load(name)
        ready['plan'] = Signature.describe(plan) if plan
        plan
      rescue Puppet::Error, ArgumentError, NameError, *Ordinary::EXTRAORDINARY => e
        ready['error'] = Failure.describe(e)
        nil
      end

      # @return [Array<Hash>] the errors of plans, each with the target it was found in
      def validate(targets)
        targets.flat_map do |target|
          found = Log.collect { check(target) }
          found.map { |error| error.merge('target' => target['name']) }
        end
      end

      # Parses one plan or file. Puppet logs its findings when there are several, and raises the only one.
      def check(target)
        return Puppet::Pops::Parser::EvaluatingParser.new.parse_file(target['file']) if target['file']

        plan = Plans.load(target['name'])
        raise Error.new('no such playbook', 'choria.playbook/unknown') unless plan

        Signature.describe(plan)
      end

      def run(plan, params)
        arguments = wrap(plan, params['parameters'])
        problems = arguments_problems(plan, arguments)
        return done('error' => { 'msg' => problems, 'kind' => 'choria.playbook/parameters' }) if problems

        done('result' => Values.pack(Plans.call(plan, arguments)))
      rescue StandardError, *Failure::FATAL => e
        done('error' => Failure.describe(e))
      end

      # Sensitive parameters come as plain values and are hidden here.
      def wrap(plan, parameters)
        types = Plans.dispatcher(plan).params_struct.elements.to_h { |element| [element.name, element.value_type] }
        parameters.to_h do |name, value|
          hide = !value.nil? && types[name] && !types[name].instance?(value) && types[name].instance?(sensitive(value))
          [name, hide ? sensitive(value) : value]
        end
      end

      def sensitive(value)
        Puppet::Pops::Types::PSensitiveType::Sensitive.new(value)
      end

      def arguments_problems(plan, arguments)
        problems = nil
        Puppet::Pal::PlanSignature.new(plan).callable_with?(arguments) do |text|
          problems = text.lines.map(&:strip).join('; ')
        end
        problems
      end

      def done(outcome)
        @host.notify('done', outcome)
      rescue Errno::EPIPE, IOError
        nil # the host has ended before us
      end
    end
  end
end

if $PROGRAM_NAME == __FILE__
  Encoding.default_external = Encoding::UTF_8
  $stdout.sync = true
  socket = UNIXSocket.for_fd(Integer(ENV.delete('CHORIA_PLAYBOOK_FD')))
  socket.close_on_exec = true
  socket.set_encoding(Encoding::UTF_8)
  PuppetX::Choria::Runner.new(socket, PuppetX::Choria::CodeCache.from_environment).main
  exit!(0)
end
