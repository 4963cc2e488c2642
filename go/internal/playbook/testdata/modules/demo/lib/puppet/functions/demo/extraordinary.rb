# frozen_string_literal: true

# Fails in ways that are no StandardError of Ruby.
Puppet::Functions.create_function(:'demo::extraordinary') do
  dispatch :fail_as do
    param 'String', :what
    return_type 'Undef'
  end

  def fail_as(what)
    case what
    when 'library' then require 'no_such_library'
    when 'undefined' then raise NotImplementedError, 'not in this class'
    when 'memory' then raise NoMemoryError, 'failed to allocate memory'
    when 'killed' then Process.kill(:KILL, Process.pid)
    end
  end
end
