# frozen_string_literal: true

# Takes what choria::data takes.
Puppet::Functions.create_function(:'demo::nothing') do
  dispatch :nothing do
    param 'String[1]', :item
    param 'Hash[String[1], Any]', :store
    return_type 'Any'
  end

  def nothing(_item, _store)
    1
  end
end
