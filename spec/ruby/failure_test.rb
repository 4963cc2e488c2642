# frozen_string_literal: true

require_relative 'playbook_helper'

# What is said about the error that ended a playbook.
class FailureTest < Minitest::Test
  def describe(error)
    PuppetX::Choria::Failure.describe(error)
  end

  # Wraps an error as the evaluator does.
  def wrapped(error)
    raise error
  rescue StandardError => e
    begin
      text = "Evaluation Error: Error while evaluating a Function Call, #{e.message}"
      raise Puppet::PreformattedError.new("#{text} (file: /a.pp, line: 3, column: 4)", '/a.pp', 3, 4)
    rescue Puppet::Error => e
      e
    end
  end

  def test_own_errors_survive_wrapping
    error = wrapped(wrapped(PuppetX::Choria::Error.new('words', 'kind', { 'a' => 1 })))
    found = describe(error)
    assert_equal ['words', 'kind', { 'a' => 1 }], found.values_at('msg', 'kind', 'details')
    assert_equal ['/a.pp', 3, 4], found.values_at('file', 'line', 'pos')
  end

  def test_prefixes_and_locations_go
    prefix = 'Evaluation Error: Error while evaluating a Function Call, '
    {
      "#{prefix}no way (file: /a.pp, line: 1, column: 2) on node localhost" => 'no way',
      'Evaluation Error: Unknown variable: \'x\'. (file: /a b/c.pp, line: 1)' => 'Unknown variable: \'x\'.',
      'plain (as it is)' => 'plain (as it is)'
    }.each { |given, want| assert_equal want, describe(StandardError.new(given))['msg'] }
  end

  def test_kinds
    assert_equal 'choria.playbook/interrupted', describe(Interrupt.new)['kind']
    assert_equal 'choria.playbook/exit', describe(SystemExit.new)['kind']
    assert_equal 'choria.playbook/recursion', describe(SystemStackError.new('x'))['kind']
    assert_equal 'choria.playbook/error', describe(RuntimeError.new('x'))['kind']
  end

  def test_plans_get_file_and_line
    error = PuppetX::Choria::Failure.to_puppet(wrapped(RuntimeError.new('words')))
    assert_equal ['words', '/a.pp', 3], [error.message, error.details['file'], error.details['line']]
  end
end
