# frozen_string_literal: true

module PuppetX
  module Choria
    # Leaves blocks of a plan, up to whoever rescues it. It is no error: neither Puppet nor _catch_errors take notice.
    # Ruby's own throw does not get out of a branch, which is a fiber.
    class Leave < Exception # rubocop:disable Lint/InheritException
    end
  end
end
