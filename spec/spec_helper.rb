# frozen_string_literal: true

require 'rspec-puppet'
require 'tmpdir'
require_relative 'support/systems'

ROOT = File.expand_path('..', __dir__)

# The compiler wants a directory for each module that has the name of the module, which this one has not:
# it is called as the checkout is.
MODULES = Dir.mktmpdir('modules')
at_exit { FileUtils.remove_entry(MODULES) }
File.symlink(ROOT, File.join(MODULES, 'choria'))
[
  *Dir.glob(File.join(ROOT, 'modules/*')),
  *Dir.glob(File.join(ROOT, 'modules/*/spec/modules/*')),
  *Dir.glob(File.join(ROOT, 'spec/stubs/*')),
  *%w[stdlib apt concat].map { |name| "/usr/share/puppet/modules/#{name}" }
].each { |path| File.symlink(path, File.join(MODULES, File.basename(path))) }

SYSTEMS = Systems.all(ROOT)

RSpec.shared_context 'with a node' do
  let(:facts) { Systems.facts('debian-12') }
end

RSpec.configure do |config|
  config.include_context 'with a node'
  config.mock_with :rspec
  config.setup_fixtures = false
  config.module_path = MODULES
  config.manifest = '/dev/null'
  config.strict_variables = true
  config.hiera_config = File.join(ROOT, 'spec/hiera/empty.yaml')
  config.expect_with(:rspec) { |expectations| expectations.max_formatted_output_length = 4000 }
end

# The text of a file in the catalogue, whether or not it is for everybody's eyes.
def content_of(path)
  content = catalogue.resource('file', path)&.[](:content)
  content.respond_to?(:unwrap) ? content.unwrap : content
end
