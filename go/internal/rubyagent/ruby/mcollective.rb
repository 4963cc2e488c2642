# frozen_string_literal: true

# What Ruby agents of the MCollective family need to run: everything they call while they are loaded
# and while one of their actions runs. Agents rely on the libraries below being there.

require 'digest/md5'
require 'erb'
require 'fileutils'
require 'json'
require 'open3'
require 'optparse'
require 'rbconfig'
require 'shellwords'
require 'singleton'
require 'socket'
require 'stringio'
require 'tempfile'
require 'timeout'
require 'tmpdir'

# As good as loaded, but that takes as long as all of the above and few agents need it.
autoload :OpenSSL, 'openssl'

# The library that agents are written against.
module MCollective
  # The version of the interface, which agents compare with what they require.
  VERSION = '2.24.1'

  autoload :SSL, File.join(__dir__, 'mcollective', 'ssl.rb')

  def self.version
    VERSION
  end
end

require_relative 'mcollective/exceptions'
require_relative 'mcollective/cache'
require_relative 'mcollective/pluginmanager'
require_relative 'mcollective/log'
require_relative 'mcollective/config'
require_relative 'mcollective/util'
require_relative 'mcollective/shell'
require_relative 'mcollective/validator'
require_relative 'mcollective/ddl'
require_relative 'mcollective/facts'
require_relative 'mcollective/agents'
require_relative 'mcollective/agent'
require_relative 'mcollective/rpc'
require_relative 'mcollective/data'
