# frozen_string_literal: true

require 'puppet_x/choria/values'

module PuppetX
  module Cspec
    # What can be asserted in a case. Every assertion returns whether it holds, since Puppet checks the
    # types of returned values.
    module Assertions
      def assert_equal(left, right)
        equal('assert_equal', left, right, 'both values match')
      end

      def assert_true(value)
        equal('assert_true', value, true, 'the value is true')
      end

      def assert_false(value)
        equal('assert_false', value, false, 'the value is false')
      end

      # Results of a request that could not be made are not none.
      def assert_count(collection, count)
        impossible = unanswered(collection)
        return refuse('assert_count', impossible) if impossible

        equal('assert_count', collection.count, count, "#{count} items")
      end

      def assert_match(pattern, value)
        regexp = pattern.is_a?(Regexp) ? pattern : Regexp.new(pattern)
        return pass('assert_match', "the value matches #{regexp.inspect}") if regexp.match?(value.to_s)

        refuse('assert_match', "#{value.inspect}\n  does not match\n#{regexp.inspect}", both(value, regexp.source))
      end

      def assert_includes(collection, item)
        return pass('assert_includes', 'the value is included') if collection.include?(item)

        refuse('assert_includes', "#{collection.inspect}\n  does not include\n#{item.inspect}", both(collection, item))
      end

      # An empty set of results is no success, and neither is a playbook that failed.
      def assert_task_success(results)
        kind = 'assert_task_success:'
        failed = results.error_set
        return refuse(kind, "#{failed.count} failures", 'hosts' => failed.hosts) unless failed.empty
        return refuse(kind, unanswered(results)) if unanswered(results)
        return refuse(kind, 'no results') if results.empty

        pass(kind, "#{results.count} good results")
      end

      def assert_task_failure(results)
        return refuse('assert_task_failure', "#{results.count} good results, no failure") unless results.failed?

        pass('assert_task_failure', "#{results.error_set.count} failures")
      end

      def assert_task_data_equals(result, left, right)
        kind = 'assert_task_data_equals'
        host = { 'host' => result.host }
        return pass(kind, "#{result.host} success", host) if left == right

        refuse("#{kind}: #{result.host}", unequal(left, right), host.merge(both(left, right)))
      end

      private

      # @return [String, nil] why there are no results, when a request could not be made or a playbook has failed
      def unanswered(results)
        results.message if results.is_a?(Choria::TaskResults) && !results.exception.nil?
      end

      def equal(kind, left, right, message)
        left == right ? pass(kind, message) : refuse(kind, unequal(left, right), both(left, right))
      end

      # The values as data, for the report.
      def both(left, right)
        { 'left' => Choria::Values.pack(left), 'right' => Choria::Values.pack(right) }
      end

      def unequal(left, right)
        "#{left.inspect}\n  is not equal to\n#{right.inspect}"
      end
    end
  end
end
