# frozen_string_literal: true

module Choria
  module Shim
    # Turns descriptions in Ruby into JSON. Each line of input is one: {"path":FILE,"kind":"agent"};
    # each line of output what came of it: {"path":FILE,"ddl":{…}} or {"path":FILE,"error":"…"}.
    class Converter
      # What a file may take, in seconds: it is a program.
      PATIENCE = 10

      def initialize(input, output)
        @input = input
        @output = output.dup
        # What a description prints must not get between.
        output.reopen($stderr)
      end

      def run
        @input.each_line do |line|
          job = JSON.parse(line)
          @output.write("#{Plain.json({ 'path' => job['path'] }.merge(convert(job['path'], job['kind'])))}\n")
          @output.flush
        end
      end

      private

      def convert(path, kind)
        name = File.basename(path, '.ddl')
        ddl = MCollective::DDL.new(name, kind, false)
        Timeout.timeout(PATIENCE) { ddl.evaluate(path) }
        doc = ddl.to_h
        # In Ruby a plugin has the name of its file, and the metadata may say anything.
        doc['metadata']['name'] = kind == 'data' ? name.sub(/_data\z/, '') : name
        { 'ddl' => doc }
      rescue StandardError, ScriptError, SystemStackError => e
        { 'error' => "#{e.class}: #{e.message}" }
      end
    end
  end
end
