# frozen_string_literal: true

require_relative '../../../puppet_x/choria/task_results'

# What a task did everywhere. It can be iterated.
Puppet::DataTypes.create_type('Choria::TaskResults') do
  interface <<-PUPPET
    attributes => {
      results   => Array[Choria::TaskResult],
      exception => { type => Optional[Error], value => undef },
    },
    functions => {
      count      => Callable[[], Integer],
      empty      => Callable[[], Boolean],
      error_set  => Callable[[], Choria::TaskResults],
      ok_set     => Callable[[], Choria::TaskResults],
      ok         => Callable[[], Boolean],
      fail_ok    => Callable[[], Boolean],
      hosts      => Callable[[], Choria::Nodes],
      find       => Callable[[String], Optional[Choria::TaskResult]],
      first      => Callable[[], Optional[Choria::TaskResult]],
      message    => Callable[[], String],
      on_error   => Callable[[Callable], Choria::TaskResults],
      on_success => Callable[[Callable], Choria::TaskResults],
    }
  PUPPET

  implementation_class PuppetX::Choria::TaskResults
end
