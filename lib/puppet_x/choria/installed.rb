# frozen_string_literal: true

require 'json'

module PuppetX
  module Choria
    # What facts say about the Choria of this machine. It only reads files, loads nothing of Choria, and what
    # cannot be read is as if it were not there: facts are gathered on machines of any state.
    class Installed
      DIRECTORIES = {
        'FreeBSD' => ['/usr/local/etc/choria'],
        'windows' => ['C:/ProgramData/choria/etc', 'C:/ProgramData/PuppetLabs/mcollective/etc']
      }.freeze
      OTHERS = ['/etc/choria', '/etc/puppetlabs/mcollective'].freeze
      # No configuration is this long; whatever is was not written by us.
      LIMIT = 4 << 20

      def initialize(family, root: '')
        @directories = DIRECTORIES.fetch(family, OTHERS).map { |directory| root + directory }
      end

      # The collectives of the server and of clients, each with the file that says so.
      def collectives
        { 'server' => role('server'), 'client' => role('client') }.compact
      end

      # The state of the server by the file that it writes it to; nil when it writes none.
      def server
        settings = read('server')&.last || {}
        path = settings['plugin.choria.status_file_path']
        return unless path

        written = File.mtime(path)
        status = JSON.parse(text(path))
        {
          'running' => running?(written, settings),
          'connected' => running?(written, settings) && !status['connected_server'].to_s.empty?,
          'provisioning' => status['provisioning_mode'] == true
        }
      rescue SystemCallError, JSON::ParserError, TypeError, NoMethodError
        nil
      end

      private

      # A server that runs writes its state at intervals; one late by two of them does not.
      def running?(written, settings)
        Time.now - written < 3 * [settings['plugin.choria.status_update_interval'].to_i, 10].max
      end

      def role(name)
        file, settings = read(name)
        return unless file

        collectives = settings.fetch('collectives', 'mcollective').split(',').map(&:strip).reject(&:empty?)
        {
          'collectives' => collectives,
          'main_collective' => settings.fetch('main_collective', collectives.first),
          'file' => file
        }
      end

      # The first configuration of that name that can be read: its path and its settings.
      def read(name)
        @directories.each do |directory|
          ["#{name}.conf", "#{name}.cfg"].each do |file|
            path = File.join(directory, file)
            return [path, parse(text(path))]
          rescue SystemCallError
            next
          end
        end
        nil
      end

      def text(path)
        File.open(path, 'rb') { |file| file.read(LIMIT).to_s }.force_encoding(Encoding::UTF_8).scrub
      end

      def parse(text)
        text.each_line.map(&:strip).reject { |line| line.start_with?('#') }
            .map { |line| line.split('=', 2).map(&:strip) }
            .select { |_key, value| value && !value.empty? }.to_h
      end
    end
  end
end
