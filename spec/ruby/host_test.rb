# frozen_string_literal: true

require_relative 'playbook_helper'

# What functions say to the playbook host, over a real socket.
class HostTest < Minitest::Test
  def teardown
    PuppetX::Choria::Host.current = nil
    @fake&.close
  end

  def fake(&block)
    @fake = FakeHost.new(&block)
    PuppetX::Choria::Host.current = @fake.host
  end

  def test_call_returns_the_result
    fake { |message| { 'result' => message['params']['x'] } }
    assert_equal [1, { 'a' => nil }], @fake.host.call('echo', 'x' => [1, { 'a' => nil }])
    assert_equal 'ünïcode', @fake.host.call('echo', 'x' => 'ünïcode')
  end

  def test_call_says_where_it_was_made
    fake { { 'result' => nil } }
    Puppet::Pops::PuppetStack.stack('/a/plans/b.pp', 7, @fake.host, :call, ['m', {}])
    message = @fake.messages.pop
    assert_equal ['m', '/a/plans/b.pp', 7], message.values_at('method', 'file', 'line')
  end

  def test_error_keeps_kind_and_details
    fake { { 'error' => { 'msg' => 'no', 'kind' => 'k', 'details' => { 'a' => 1 } } } }
    error = assert_raises(PuppetX::Choria::Error) { @fake.host.call('m', {}) }
    assert_equal ['no', 'k', { 'a' => 1 }], [error.message, error.kind, error.details]
  end

  def test_answer_of_an_interrupted_call_is_skipped
    fake { |message| { 'result' => message['id'] } }
    @fake.send('id' => 0, 'result' => 'late')
    assert_equal 1, @fake.host.call('m', {})
  end

  def test_end_of_the_host_is_an_interrupt
    fake { { 'result' => nil } }
    @fake.send('method' => 'run')
    assert_equal 'run', @fake.host.receive['method']
    ours, theirs = UNIXSocket.pair
    ours.close
    error = assert_raises(Interrupt) { PuppetX::Choria::Host.new(theirs).receive }
    assert_equal 'the playbook host has ended', error.message
    theirs.close
  end

  def test_functions_need_a_playbook
    error = assert_raises(PuppetX::Choria::Error) { PuppetX::Choria::Host.call('choria::task', 'task', {}) }
    assert_equal 'choria::task can only be used in playbooks', error.message
  end

  def test_functions_need_the_script_compiler
    fake { { 'result' => 1 } }
    assert_raises(PuppetX::Choria::Error) { PuppetX::Choria::Host.call('choria::task', 'task', {}) }
  end
end
