# frozen_string_literal: true

require_relative 'playbook_helper'

# What leaves a plan as data.
class ValuesTest < Minitest::Test
  def pack(value)
    PuppetX::Choria::Values.pack(value)
  end

  def test_data_stays
    data = { 'a' => [1, 2.5, true, false, nil, 'x', {}] }
    assert_equal data, pack(data)
  end

  def test_keys_become_strings
    assert_equal({ '1' => 'a', 'b' => 'c', '' => 'd' }, pack({ 1 => 'a', :b => 'c', nil => 'd' }))
  end

  def test_sensitive_is_marked
    secret = Puppet::Pops::Types::PSensitiveType::Sensitive.new(['x'])
    assert_equal({ 'k' => { '__sensitive' => ['x'] } }, pack({ 'k' => secret }))
  end

  def test_rich_values_become_strings
    assert_equal ['default', '/a/', 'Infinity', nil], [pack(:default), pack(/a/), pack(Float::INFINITY), pack(:undef)]
  end

  def test_errors_and_results
    error = Puppet::DataTypes::Error.from_asserted_hash('msg' => 'm', 'kind' => 'k', 'details' => { 'a' => 1 })
    assert_equal({ 'msg' => 'm', 'kind' => 'k', 'details' => { 'a' => 1 } }, pack(error))
    result = PuppetX::Choria::TaskResult.new('n', { 'value' => 1, 'type' => 't', 'fail_ok' => false })
    results = PuppetX::Choria::TaskResults.new([result])
    assert_equal [{ 'n' => { 'value' => 1, 'type' => 't', 'fail_ok' => false } }], pack(results)
  end

  def test_text_becomes_valid_utf8
    text = pack(['a', "\xFF".b, "\xFFx", 'ü'.encode('ISO-8859-1')])
    assert(text.all? { |item| item.encoding == Encoding::UTF_8 && item.valid_encoding? })
    assert_equal 'ü', text.last
  end
end
