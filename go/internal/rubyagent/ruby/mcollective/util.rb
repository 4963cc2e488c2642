# frozen_string_literal: true

module MCollective
  # Odds and ends that agents call.
  module Util
    autoload :Choria, File.join(__dir__, 'util', 'choria.rb')
    autoload :TasksSupport, File.join(__dir__, 'util', 'tasks_support.rb')

    COLORS = { red: "\e[31m", green: "\e[32m", yellow: "\e[33m", cyan: "\e[36m", bold: "\e[1m",
               reset: "\e[0m" }.freeze

    CLIENT_FILES = %w[/etc/choria/client.conf /usr/local/etc/choria/client.conf
                      /etc/puppetlabs/mcollective/client.cfg /etc/mcollective/client.cfg
                      /usr/local/etc/mcollective/client.cfg].freeze

    # Hashes that take strings and symbols for the same key.
    class IndifferentHash < Hash
      def self.convert(hash)
        new.merge!(hash)
      end

      def [](key)
        super(convert_key(key))
      end

      def []=(key, value)
        super(convert_key(key), convert_value(value))
      end
      alias store []=

      def fetch(key, *args, &block)
        super(convert_key(key), *args, &block)
      end

      def key?(key)
        super(convert_key(key))
      end
      alias include? key?
      alias has_key? key?
      alias member? key?

      def delete(key)
        super(convert_key(key))
      end

      def merge!(*others)
        others.each { |other| other.each { |key, value| self[key] = value } }
        self
      end
      alias update merge!

      def merge(*others)
        dup.merge!(*others)
      end

      private

      def convert_key(key)
        key.is_a?(Symbol) ? key.to_s : key
      end

      def convert_value(value)
        value.is_a?(Hash) && !value.is_a?(IndifferentHash) ? self.class.convert(value) : value
      end
    end

    class << self
      def windows?
        !(RbConfig::CONFIG['host_os'] =~ /mswin|win32|dos|mingw|cygwin/i).nil?
      end

      # The directory of the configuration on Windows.
      def windows_prefix
        File.join(ENV.fetch('ProgramData', 'C:/ProgramData').tr('\\', '/'), 'PuppetLabs', 'mcollective')
      end

      def ruby_version
        RUBY_VERSION
      end

      def mcollective_version
        MCollective::VERSION
      end

      # Turns 1, yes, true, y, t or 0, no, false, n, f in any case into a boolean.
      def str_to_bool(val)
        case val.to_s.strip
        when /\A(1|yes|true|y|t)\z/i then true
        when /\A(0|no|false|n|f)\z/i then false
        else raise("Cannot convert string value '#{val}' into a boolean.")
        end
      end

      def shellescape(str)
        Shellwords.escape(str.to_s)
      end

      def loadclass(klass)
        PluginManager.loadclass(klass)
      end

      def get_fact(fact)
        Facts.get_fact(fact)
      end

      # Whether a fact compares with a value: ==, !=, =~, <, >, <= or >=. Numbers compare as such.
      def has_fact?(fact, value, operator)
        actual = Facts[fact]
        return false if actual.nil?
        return regex(value).match?(actual.to_s) if operator == '=~'

        left, right = comparable(actual.to_s, value.to_s)
        case operator
        when '==', '!=', '<', '>', '<=', '>=' then left.public_send(operator, right)
        else false
        end
      end

      # Whether the node has a Puppet class, given by name or as /pattern/.
      def has_cf_class?(klass)
        classes = File.readlines(Config.instance.classesfile, encoding: 'UTF-8').map { |line| line.scrub.chomp }
        named?(klass, classes)
      rescue SystemCallError => e
        Log.warn("Parsing classes file '#{Config.instance.classesfile}' failed: #{e.class}: #{e}")
        false
      end

      def has_identity?(identity)
        named?(identity, [Config.instance.identity])
      end

      def has_agent?(agent)
        named?(agent, Agents.agentlist)
      end

      # Compares versions, as in 1.9.3 < 1.10: -1, 0 or 1.
      def versioncmp(version_a, version_b)
        a, b = [version_a, version_b].map { |v| v.to_s.scan(/\d+|[a-zA-Z]+|[.-]/) }
        a.zip(b) do |x, y|
          return 1 if y.nil?
          next if x == y
          return -1 if x == '-' || (x == '.' && y != '-')
          return 1 if ['-', '.'].include?(y)

          return compare_parts(x, y)
        end
        a.size <=> b.size
      end

      def absolute_path?(path, separator = File::SEPARATOR, alt_separator = File::ALT_SEPARATOR)
        separators = [separator, alt_separator].compact.map { |s| Regexp.escape(s) }.join
        return path.match?(/\A([a-zA-Z]:)?[#{separators}]/) if alt_separator

        path.match?(/\A[#{separators}]/)
      end

      def command_in_path?(command)
        ENV.fetch('PATH', '').split(File::PATH_SEPARATOR).any? do |dir|
          path = File.join(dir, command)
          File.file?(path) && File.executable?(path)
        end
      end

      def empty_filter
        { 'fact' => [], 'cf_class' => [], 'agent' => [], 'identity' => [], 'compound' => [] }
      end

      def empty_filter?(filter)
        filter == empty_filter || filter.empty?
      end

      # Splits name, operator and value; false for what is no such text.
      def parse_fact_string(fact)
        match = /\A([^!<>=~]+?)\s*(<=|>=|=>|=<|<|>|!=|=~|={1,2})\s*(.+)\z/.match(fact) || (return false)
        name = match[1].strip
        operator = match[2]
        value = match[3].strip
        operator = { '=' => '==', '=<' => '<=', '=>' => '>=' }.fetch(operator, operator)
        operator = '=~' if value.match?(%r{\A/.+/\z})
        { fact: name, operator: operator, value: value }
      end

      # The code of a colour, empty when colours are off.
      def color(code)
        Config.instance.color && !windows? ? COLORS.fetch(code.to_sym, '') : ''
      end

      def colorize(code, msg)
        "#{color(code)}#{msg}#{color(:reset)}"
      end

      # Folds text to the width of the console, each line after preamble spaces.
      def align_text(text, console_cols = nil, preamble = 5)
        console_cols ||= terminal_dimensions[0]
        console_cols = 80 if console_cols.zero?
        width = [(console_cols * 0.8).to_i, 10].max
        text.split("\n").map do |line|
          line = line.strip.gsub(/(.{1,#{width}})(\s+|\z)/, "\\1\n").rstrip
          line.split("\n").map { |part| (' ' * preamble) + part }.join("\n")
        end.join("\n")
      end

      # Columns and lines of the terminal, zeros when there is none.
      def terminal_dimensions(stdout = $stdout, environment = ENV)
        return [0, 0] unless stdout.tty?

        if environment['COLUMNS'] && environment['LINES']
          return [environment['COLUMNS'].to_i,
                  environment['LINES'].to_i]
        end

        require 'io/console'
        stdout.winsize.reverse
      rescue LoadError, StandardError
        [0, 0]
      end

      # The width of a column for elements.
      def field_size(elements, min_size = 40)
        [elements.map(&:size).max || 0, min_size].max
      end

      # How many columns of that width fit.
      def field_number(field_size, max_size = 90)
        number = max_size / field_size
        number.zero? ? 1 : number
      end

      def templatepath(template_file)
        beside = File.join(Config.instance.configdir || '', template_file)
        File.exist?(beside) ? beside : File.join('/etc/mcollective', template_file)
      end

      def config_file_for_user
        user = %w[~/.choriarc ~/.mcollective].map { |f| home(f) }
        files = (user + CLIENT_FILES).compact
        files.find { |file| File.readable?(file) } || CLIENT_FILES.first
      end

      def default_options
        { verbose: false, disctimeout: nil, timeout: 5, config: config_file_for_user, collective: nil,
          discovery_method: nil, discovery_options: Config.instance.default_discovery_options,
          filter: empty_filter }
      end

      private

      # Whether one of names is the given one, or matches it when it is a /pattern/.
      def named?(wanted, names)
        pattern = wanted.is_a?(Regexp) ? wanted : wanted.to_s[%r{\A/(.+)/\z}, 1]
        return names.any? { |name| Regexp.new(pattern).match?(name.to_s) } if pattern

        names.include?(wanted.to_s)
      end

      def regex(text)
        Regexp.new(text.to_s.sub(%r{\A/(.*)/\z}, '\1'))
      end

      # Both as numbers when both are, else both as text.
      def comparable(left, right)
        number = /\A-?\d+(\.\d+)?\z/
        return [left, right] unless left.match?(number) && right.match?(number)

        [Float(left), Float(right)]
      end

      def compare_parts(left, right)
        return left.upcase <=> right.upcase unless left.match?(/\A\d+\z/) && right.match?(/\A\d+\z/)
        return left.upcase <=> right.upcase if left.start_with?('0') || right.start_with?('0')

        left.to_i <=> right.to_i
      end

      def home(path)
        File.expand_path(path)
      rescue ArgumentError
        nil # nobody has no home
      end
    end
  end
end
