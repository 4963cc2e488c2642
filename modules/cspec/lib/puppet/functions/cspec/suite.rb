# frozen_string_literal: true

require_relative '../../../puppet_x/cspec/suite'

# Runs one suite and adds its outcome to a report.
#
# @example
#   cspec::suite('filemgr agent', $fail_fast, $report) |$suite| {
#     $suite.it('knows /etc/hosts') |$case| {
#       $case.assert_task_success(choria::task('action' => 'filemgr.status', 'nodes' => $nodes))
#     }
#   }
Puppet::Functions.create_function(:'cspec::suite') do
  # @param description What the suite is about.
  # @param fail_fast Whether the first assertion that fails ends the suite and the playbook.
  # @param report The report, a JSON file.
  # @param tags Tags that all its cases have, besides their own.
  # @return The suite.
  dispatch :suite do
    param 'String', :description
    param 'Boolean', :fail_fast
    param 'String', :report
    optional_param 'Variant[String[1], Array[String[1]]]', :tags
    block_param 'Callable[Cspec::Suite]', :block
    return_type 'Cspec::Suite'
  end

  def suite(description, fail_fast, report, tags = [])
    version = closure_scope['facts'].dig('choria', 'version')
    suite = PuppetX::Cspec::Suite.new(description, fail_fast, report, tags: Array(tags), version: version)
    announce("Starting test suite: #{description}")
    begin
      yield(suite)
    ensure
      suite.record
    end
    announce("Completed test suite: #{description}")
    suite
  end

  def announce(text)
    ['>>>', ">>> #{text}", '>>>'].each { |line| Puppet.notice(line) }
  end
end
