# frozen_string_literal: true

require 'net/http'

module MCollective
  module Util
    # What agents ask about the network and its certificates.
    class Choria
      # The directories that Puppet has its certificates in, best first.
      SSL_DIRS = %w[/etc/puppetlabs/puppet/ssl /var/lib/puppet/ssl].freeze

      def initialize(*)
        @config = Config.instance
      end

      # What runs Bolt tasks.
      def tasks_support
        require_relative 'tasks_support'

        TasksSupport.new(self)
      end

      # Returns a setting of this project: get_option('choria.ssldir', default).
      def get_option(option, default = nil)
        @config.pluginconf.fetch(option, default)
      end

      def option?(option)
        @config.pluginconf.include?(option)
      end
      alias has_option? option?

      def certname
        ENV['MCOLLECTIVE_CERTNAME'] || @config.identity
      end

      def ssl_dir
        get_option('choria.ssldir') || SSL_DIRS.find { |dir| File.directory?(dir) } || SSL_DIRS.first
      end

      def ca_path
        file_security? ? get_option('security.file.ca') : File.join(ssl_dir, 'certs', 'ca.pem')
      end

      def client_public_cert
        file_security? ? get_option('security.file.certificate') : File.join(ssl_dir, 'certs', "#{certname}.pem")
      end

      def client_private_key
        file_security? ? get_option('security.file.key') : File.join(ssl_dir, 'private_keys', "#{certname}.pem")
      end

      # Host and port of the Puppet server.
      def puppet_server
        { target: get_option('choria.puppetserver_host', 'puppet'),
          port: get_option('choria.puppetserver_port', '8140') }
      end

      # A connection to a server, which is held to the authority of the network.
      def https(server)
        http = Net::HTTP.new(server[:target], Integer(server[:port]))
        http.use_ssl = true
        http.verify_mode = OpenSSL::SSL::VERIFY_PEER
        http.ca_file = ca_path
        http.cert = OpenSSL::X509::Certificate.new(File.read(client_public_cert))
        http.key = OpenSSL::PKey.read(File.read(client_private_key))
        http
      end

      def http_get(path, headers = {})
        Net::HTTP::Get.new(path, { 'User-Agent' => "Choria Agents #{MCollective::VERSION}" }.merge(headers))
      end

      private

      def file_security?
        get_option('security.provider') == 'file'
      end
    end
  end
end
