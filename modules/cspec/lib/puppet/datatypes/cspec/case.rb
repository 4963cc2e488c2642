# frozen_string_literal: true

require_relative '../../../puppet_x/cspec/case'

# One case: a list of assertions. They return whether they hold.
Puppet::DataTypes.create_type('Cspec::Case') do
  interface <<-'PUPPET'
    attributes => {
      description => String,
      suite       => Cspec::Suite,
    },
    functions => {
      assert_equal            => Callable[[Any, Any], Boolean],
      assert_task_success     => Callable[[Choria::TaskResults], Boolean],
      assert_task_failure     => Callable[[Choria::TaskResults], Boolean],
      assert_task_data_equals => Callable[[Choria::TaskResult, Any, Any], Boolean],
      assert_true             => Callable[[Any], Boolean],
      assert_false            => Callable[[Any], Boolean],
      assert_match            => Callable[[Variant[Regexp, String], Any], Boolean],
      assert_includes         => Callable[[Variant[Array, Hash, String], Any], Boolean],
      assert_count            => Callable[[Variant[Choria::TaskResults, Array, Hash], Integer], Boolean],
      assert_all_equal        => Variant[
        Callable[[Choria::TaskResults, String[1]], Boolean],
        Callable[[Choria::TaskResults, Callable[Choria::TaskResult]], Boolean]
      ],
      assert_exactly          => Callable[
        [Choria::TaskResults, Integer[0], Optional[Callable[Choria::TaskResult]]], Boolean
      ],
      assert_at_least         => Callable[
        [Choria::TaskResults, Variant[Integer[1], Pattern[/\A(100|\d{1,2}(\.\d{1,9})?)%\z/]], Optional[Callable[Choria::TaskResult]]],
        Boolean
      ],
      eventually              => Callable[[Numeric, Numeric, 1, 2, Callable[0, 0]], Boolean],
      skip                    => Callable[[String], Boolean],
    }
  PUPPET

  implementation_class PuppetX::Cspec::Case
end
