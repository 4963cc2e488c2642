# frozen_string_literal: true

require 'puppet_x/choria/values'

module PuppetX
  module Cspec
    # What can be asserted about many nodes at once. A node that failed or was silent is never one that
    # holds, and no nodes at all never hold.
    module NodeAssertions
      # Asserts that all nodes have the same: an item of their data, a.b descending, or what a block makes
      # of their result. Nodes differ when they have not what most have, which they fail for, too.
      def assert_all_equal(results, item = nil, &block)
        kind = 'assert_all_equal'
        return refuse(kind, nothing(results)) if nothing(results)

        groups = results.results.group_by { |result| found(result, item, &block) }
        common = common_value(groups)
        others = groups.reject { |value, _| value == common }
        return pass(kind, "#{results.count} nodes have #{shown(common)}") if others.empty?

        hosts = others.values.flatten.map(&:host)
        refuse(kind, differing(results, common, others), 'hosts' => hosts, 'values' => values(groups))
      end

      # Asserts that so many nodes answered well and, with a block, that it is true for their results.
      # None may do, but not because they could not be asked.
      def assert_exactly(results, number, &block)
        kind = 'assert_exactly'
        return refuse(kind, unanswered(results)) if unanswered(results)

        good, bad = holding(results, &block)
        return pass(kind, "#{number} of #{results.count} nodes") if good.length == number

        refuse(kind, "#{good.length} of #{results.count} nodes; want #{number}", 'hosts' => bad.map(&:host))
      end

      # The same with a number, or a share in percent, that must be reached.
      def assert_at_least(results, number, &block)
        kind = 'assert_at_least'
        return refuse(kind, nothing(results)) if nothing(results)

        good, bad = holding(results, &block)
        need = number.is_a?(String) ? (number.delete('%').to_r * results.count / 100).ceil : number
        text = "#{good.length} of #{results.count} nodes"
        return pass(kind, text) if good.length >= need

        refuse(kind, "#{text}; want at least #{[number, need].uniq.join(', which is ')}", 'hosts' => bad.map(&:host))
      end

      private

      # @return [String, nil] why there is nothing to look at
      def nothing(results)
        unanswered(results) || ('no results' if results.empty)
      end

      def holding(results)
        results.results.partition { |result| !result.failed? && (!block_given? || yield(result) == true) }
      end

      # @return [Array] of :value and the value, or of :none and why there is none
      def found(result, item)
        return [:none, result.error.message] if result.failed?
        return [:value, yield(result)] if item.nil?

        steps = item.split('.')
        last = steps.pop
        inner = steps.reduce(result['data']) { |data, step| data.is_a?(Hash) ? data[step] : nil }
        inner.is_a?(Hash) && inner.key?(last) ? [:value, inner[last]] : [:none, "no item #{item}"]
      end

      # @return [Array, nil] what most nodes have; nil when no node has a value
      def common_value(groups)
        groups.select { |value, _| value.first == :value }.max_by { |_, members| members.length }&.first
      end

      def differing(results, common, others)
        number = others.values.sum(&:length)
        head = common ? "#{number} of #{results.count} nodes differ from #{shown(common)}" : 'no node has a value'
        [head, *others.map { |value, members| "  #{shown(value)}: #{members.map(&:host).join(', ')}" }].join("\n")
      end

      def shown(value)
        value.first == :value ? value.last.inspect : value.last
      end

      # Every value with the nodes that have it, for the report.
      def values(groups)
        groups.map do |value, members|
          key = value.first == :value ? 'value' : 'error'
          { key => Choria::Values.pack(value.last), 'hosts' => members.map(&:host) }
        end
      end
    end
  end
end
