# frozen_string_literal: true

# Prints, as careless modules do.
Puppet::Functions.create_function(:'demo::print') do
  dispatch :print do
    param 'String', :text
  end

  def print(text)
    $stdout.puts text
    warn "#{text} as a warning"
    system("echo #{text} by a command >&2")
  end
end
