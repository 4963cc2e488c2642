# frozen_string_literal: true

require 'json'
require 'yaml'

# Renders data as YAML whose keys are sorted and which has no aliases.
#
# @example A file that other programs read
#   file { '/etc/inventory.yaml':
#     content => choria::to_yaml({ 'role' => 'web', 'tier' => 2 }),
#   }
Puppet::Functions.create_function(:'choria::to_yaml') do
  # @param value What to render.
  # @return The text, beginning with the marker of a document.
  dispatch :to_yaml do
    param 'Data', :value
    return_type 'String[1]'
  end

  def to_yaml(value)
    YAML.dump(sorted(value))
  end

  # Every container is made anew: one that occurs twice would become an alias, which not every parser
  # accepts.
  def sorted(value)
    case value
    when Hash then value.sort.to_h.transform_values { |inner| sorted(inner) }
    when Array then value.map { |inner| sorted(inner) }
    else value
    end
  end
end
