# frozen_string_literal: true

module PuppetX
  module Choria
    # Where in plans something stands. The bundled modules are unpacked anew for each run, into a directory that is
    # gone after it: their files are named as Puppet names those of modules in logs, <module>/cspec/plans/suite.pp.
    module Places
      class << self
        # @return [String, nil] the directory of the bundled modules, with a slash at the end
        attr_reader :bundled

        # @param dir [String] that directory
        def bundled=(dir)
          @bundled = "#{dir.chomp('/')}/"
        end

        # @param path [String, nil] the name of a file
        # @return [String, nil] the name that it is shown by
        def name(path)
          path && bundled && path.start_with?(bundled) ? "<module>/#{path[bundled.length..]}" : path
        end

        # @return [String] the text with the names of files as they are shown
        def text(text)
          bundled && text.include?(bundled) ? text.gsub(bundled, '<module>/') : text
        end

        # @return [Array] file and line of the innermost call
        def here
          file, line = Puppet::Pops::PuppetStack.top_of_stack
          [name(file), line]
        end
      end
    end
  end
end
