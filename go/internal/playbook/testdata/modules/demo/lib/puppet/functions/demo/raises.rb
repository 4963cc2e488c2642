# frozen_string_literal: true

# Fails inside of Ruby.
Puppet::Functions.create_function(:'demo::raises') do
  dispatch :raises do
    return_type 'Undef'
  end

  def raises
    nil.upcase
  end
end
