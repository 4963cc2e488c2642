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

  # Whether the setting is what was written; durations are shown in another unit.
  def same?(setting, text)
    return false unless setting

    case setting['type']
    when nil then setting['value'] == text # known, and without effect
    when 'duration' then true
    when 'bool' then { '1' => true, '0' => false, 'true' => true, 'false' => false }[text] == setting['value']
    else Array(setting['value']).map(&:to_s) == text.split(/,\s*/)
    end
  end

  Dir.glob(File.join(ROOT, 'spec/expected/**/*.conf')).each do |file|
    it "understands every line of #{File.basename(file)}" do
      lines = File.readlines(file, chomp: true).grep(/\A[^#]/).map { |line| line.split(' = ', 2) }
      settings, errors = read(file)

      expect(errors).to eq('')
      expect(lines).not_to be_empty
      expect(lines.reject { |key, text| same?(settings[key], text) }).to be_empty
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
