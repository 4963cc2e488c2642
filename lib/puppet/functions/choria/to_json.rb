# frozen_string_literal: true

require 'json'

# Renders data as JSON whose keys are sorted, so that the same data always gives the same text.
#
# @example A file that other programs read
#   file { '/etc/inventory.json':
#     content => choria::to_json({ 'role' => 'web', 'tier' => 2 }),
#   }
Puppet::Functions.create_function(:'choria::to_json') do
  # @param value What to render.
  # @return The text, indented, with a newline at the end.
  dispatch :to_json do
    param 'Data', :value
    return_type 'String[1]'
  end

  def to_json(value)
    "#{JSON.pretty_generate(sorted(value))}\n"
  end

  def sorted(value)
    case value
    when Hash then value.sort.to_h.transform_values { |inner| sorted(inner) }
    when Array then value.map { |inner| sorted(inner) }
    else value
    end
  end
end
