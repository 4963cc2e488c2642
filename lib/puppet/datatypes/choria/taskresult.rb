# frozen_string_literal: true

require_relative '../../../puppet_x/choria/task_result'

# What a task did on one node or endpoint.
Puppet::DataTypes.create_type('Choria::TaskResult') do
  interface <<-PUPPET
    attributes => {
      host   => Choria::Node,
      result => Hash[String[1], Data],
    },
    functions => {
      error            => Callable[[], Optional[Error]],
      ok               => Callable[[], Boolean],
      fail_ok          => Callable[[], Boolean],
      type             => Callable[[], String[1]],
      value            => Callable[[], Data],
      bolt_task_result => Callable[[], Data],
      '[]'             => Callable[[String[1]], Data],
    }
  PUPPET

  implementation_class PuppetX::Choria::TaskResult
end
