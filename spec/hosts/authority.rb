# frozen_string_literal: true

require 'openssl'

# A certificate authority whose certificates are where Puppet keeps those that its own has signed.
class Authority
  SSL = '/var/lib/puppet/ssl'

  def initialize
    @key = OpenSSL::PKey::RSA.new(2048)
    @serial = 1
    @certificate = sign('Puppet CA: puppet.example.net', @key, 'basicConstraints' => 'critical,CA:TRUE',
                                                               'keyUsage' => 'critical,keyCertSign,cRLSign')
  end

  # Gives a host the key and the certificate of a name: its own, or that of somebody who works there, whose
  # directory it then is.
  def enrol(host, name, directory: SSL)
    key = OpenSSL::PKey::RSA.new(2048)
    certificate = sign(name, key, 'basicConstraints' => 'critical,CA:FALSE', 'subjectAltName' => "DNS:#{name}",
                                  'extendedKeyUsage' => 'serverAuth,clientAuth')
    host.write("#{directory}/certs/ca.pem", @certificate.to_pem)
    host.write("#{directory}/certs/#{name}.pem", certificate.to_pem)
    host.write("#{directory}/private_keys/#{name}.pem", key.to_pem, 0o600)
  end

  private

  def sign(name, key, extensions)
    certificate = blank(name, key)
    factory = OpenSSL::X509::ExtensionFactory.new(@certificate || certificate, certificate)
    extensions.each { |extension, value| certificate.add_extension(factory.create_extension(extension, value)) }
    certificate.sign(@key, OpenSSL::Digest.new('SHA256'))
  end

  def blank(name, key)
    certificate = OpenSSL::X509::Certificate.new
    certificate.version = 2
    certificate.serial = @serial += 1
    certificate.subject = OpenSSL::X509::Name.new([['CN', name]])
    certificate.issuer = @certificate ? @certificate.subject : certificate.subject
    certificate.public_key = key.public_key
    certificate.not_before = Time.now - 86_400
    certificate.not_after = Time.now + (86_400 * 7)
    certificate
  end
end
