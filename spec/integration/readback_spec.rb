# frozen_string_literal: true

require 'json'
require 'open3'

# What the module writes, read by the parser of the programs that it is for.
RSpec.describe 'choria config' do
  choria = File.join(ROOT, 'bin/choria')

  # The settings that stand in the file, by their keys, and what the parser warns of.
  define_method(:read) do |file|
    output, errors, status = Open3.capture3(choria, 'config', '--json', '--reveal', '--file', file)
    raise errors unless status.success?

    settings = JSON.parse(output)['settings'].select { |setting| setting['file'] == file }
    [settings.to_h { |setting| [setting['key'], setting] }, errors]
  end

  # As it would stand in a file; durations are shown in another unit than they are written in.
  def written(setting, text)
    value = setting['value']
    case setting['type']
    when 'duration' then text
    when 'bool' then { '1' => true, '0' => false, 'true' => true, 'false' => false }[text] == value ? text : value
    else value.is_a?(Array) ? text.split(/,\s*/) == value ? text : value : value.to_s
    end
  end

  Dir.glob(File.join(ROOT, 'spec/expected/**/*.conf')).each do |file|
    it "understands every line of #{File.basename(file)}" do
      lines = File.readlines(file, chomp: true).grep(/\A[^#]/).map { |line| line.split(' = ', 2) }
      settings, errors = read(file)

      expect(errors).to eq('')
      expect(lines.to_h { |key, text| [key, settings[key] ? written(settings[key], text) : nil] }).to eq(lines.to_h)
    end
  end

  it 'notices a key that does not exist' do
    Dir.mktmpdir do |directory|
      file = File.join(directory, 'server.conf')
      File.write(file, "no_such_key = 1\n")

      expect(read(file).last).to include('no_such_key')
    end
  end
end
