# @summary The lines of a policy
#
# Always five fields: a line with fewer of them is read as if it denied everything.
#
# @param policies
#   The lines.
# @return The text, with a newline after each line.
# @api private
function choria::policy_lines(Array[Choria::PolicyLine] $policies) >> String {
  $policies.map |$policy| {
    $fields = ['callers', 'actions', 'facts', 'classes'].map |$field| {
      $policy[$field] ? {
        undef   => '*',
        default => [$policy[$field]].flatten.join(' '),
      }
    }
    "${([$policy['action']] + $fields).join("\t")}\n"
  }.join('')
}
