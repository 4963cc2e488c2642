# frozen_string_literal: true

# Ends the process.
Puppet::Functions.create_function(:'demo::quit') do
  dispatch :quit do
    return_type 'Undef'
  end

  def quit
    exit(9)
  end
end
