# frozen_string_literal: true

require_relative '../../../puppet_x/cspec/suite'

# One suite: a list of cases.
Puppet::DataTypes.create_type('Cspec::Suite') do
  interface <<-PUPPET
    attributes => {
      description => String,
      fail_fast   => Boolean,
      report      => String,
    },
    functions => {
      it      => Variant[
        Callable[[String, Callable[Cspec::Case]], Any],
        Callable[[String, Variant[String[1], Array[String[1]]], Callable[Cspec::Case]], Any]
      ],
      outcome => Callable[[], Hash],
    }
  PUPPET

  implementation_class PuppetX::Cspec::Suite
end
