# frozen_string_literal: true

# Shows what a process of ours gets.
Puppet::Functions.create_function(:'demo::environment') do
  dispatch :environment do
    return_type 'Hash'
  end

  def environment
    socket = ObjectSpace.each_object(UNIXSocket).first
    name = File.readlink("/proc/self/fd/#{socket.fileno}")
    {
      'variables' => ENV.keys.sort,
      'socket' => name,
      'inherited' => `ls -l /proc/self/fd`.include?(name),
      'group' => Process.getpgrp == Process.pid
    }
  end
end
