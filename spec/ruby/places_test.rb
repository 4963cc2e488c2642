# frozen_string_literal: true

require_relative 'playbook_helper'
require 'puppet_x/choria/places'

# The names by which files of the bundled modules are shown.
class PlacesTest < Minitest::Test
  PLACES = PuppetX::Choria::Places

  def setup
    PLACES.bundled = '/tmp/run/modules'
  end

  def test_name
    assert_equal '<module>/cspec/plans/suite.pp', PLACES.name('/tmp/run/modules/cspec/plans/suite.pp')
    assert_equal '/etc/modules/a/plans/b.pp', PLACES.name('/etc/modules/a/plans/b.pp')
    assert_equal '/tmp/run/modules2/a.pp', PLACES.name('/tmp/run/modules2/a.pp')
    assert_nil PLACES.name(nil)
  end

  def test_text
    assert_equal 'no (file: <module>/a/b.pp)', PLACES.text('no (file: /tmp/run/modules/a/b.pp)')
    assert_equal 'no (file: /a/b.pp)', PLACES.text('no (file: /a/b.pp)')
  end

  def test_here
    Puppet::Pops::PuppetStack.stack('/tmp/run/modules/a/plans/b.pp', 7, PLACES, :here, []).then do |found|
      assert_equal ['<module>/a/plans/b.pp', 7], found
    end
  end
end
