# frozen_string_literal: true

require_relative 'playbook_helper'

# What plans can ask of results.
class ResultsTest < Minitest::Test
  ERROR = { 'msg' => 'm', 'kind' => 'k', 'details' => { 'code' => 1 } }.freeze

  def result(host, error: nil, fail_ok: false, value: { 'data' => {} })
    data = { 'value' => value, 'type' => 'mcollective', 'fail_ok' => fail_ok }
    PuppetX::Choria::TaskResult.new(host, error ? data.merge('error' => error) : data)
  end

  def results(*list, **more)
    PuppetX::Choria::TaskResults.new(list, more.delete(:exception), 'message', **more)
  end

  def exception
    Puppet::DataTypes::Error.from_asserted_hash('msg' => 'exception', 'kind' => 'k', 'details' => {})
  end

  def test_ok
    assert results(result('a')).ok
    assert results.ok
    refute results(result('a'), result('b', error: ERROR)).ok
    assert results(result('b', error: ERROR, fail_ok: true)).ok
    refute results(exception: exception).ok
    refute results(result('a'), failed: true).ok
  end

  def test_blocks_go_by_errors_whatever_may_fail
    tolerated = results(result('b', error: ERROR, fail_ok: true))
    [tolerated, results(exception: exception), results(failed: true)].each do |failed|
      called = []
      assert_same(failed, failed.on_error { |given| called << given })
      assert_same(failed, failed.on_success { |_| flunk('not a success') })
      assert_equal [failed], called
    end
    called = 0
    results(result('a')).on_error { |_| flunk('not an error') }.on_success { |_| called += 1 }
    assert_equal 1, called
  end

  def test_message_survives_sets
    set = results(result('a'), result('b', error: ERROR))
    assert_equal %w[message message], [set.error_set.message, set.ok_set.message]
    assert_equal [%w[b], %w[a]], [set.error_set.hosts, set.ok_set.hosts]
    assert_equal 'exception', results(exception: exception).message
  end

  def test_members
    good = result('a', value: { 'x' => 1 })
    assert_equal [1, nil], [good['x'], good['y']]
    assert_equal 'text', result('a', value: 'text')['x']
    error = result('a', error: ERROR).error
    assert_equal ['m', { 'code' => 1 }], [error.message, error.details]
  end

  def test_bolt_task_result
    assert_equal({ 'a' => 1 }, result('a', value: { 'data' => { 'stdout' => '{"a":1}' } }).bolt_task_result)
    assert_raises(PuppetX::Choria::Error) { result('a', value: { 'data' => { 'stdout' => '{' } }).bolt_task_result }
    assert_raises(PuppetX::Choria::Error) { result('a', value: 'x').bolt_task_result }
  end
end
