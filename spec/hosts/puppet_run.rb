# frozen_string_literal: true

require 'psych'

# What one run of Puppet did, from its report.
class PuppetRun
  attr_reader :status, :output

  def initialize(status, output, report)
    @status = status
    @output = output
    # The report is of objects of Puppet; their attributes are all that is wanted.
    tree = Psych.parse(report)
    tree.each { |node| node.tag = nil if node.respond_to?(:tag=) && node.tag&.start_with?('!ruby/') }
    @resources = tree.to_ruby['resource_statuses']
  end

  # The exit status says whether something was changed, and whether something failed.
  def ok?
    [0, 2].include?(status)
  end

  # What was changed or restarted, such as File[/etc/choria/server.conf].
  def changed
    names { |resource| resource['changed'] }
  end

  # The files among it.
  def files
    changed.filter_map { |name| name[/\AFile\[(.*)\]\z/, 1] }
  end

  def failed
    names { |resource| resource['failed'] || resource['failed_to_restart'] }
  end

  def skipped
    names { |resource| resource['skipped'] }
  end

  private

  def names
    @resources.select { |_, resource| yield resource }.keys.sort
  end
end
