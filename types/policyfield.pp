# @summary One field of a line of a policy
#
# Fields are separated by tabs and lines by newlines, so a field has neither. The items of an array are
# joined by spaces.
type Choria::PolicyField = Variant[Pattern[/\A[^\t\r\n]+\z/], Array[Pattern[/\A[^\t\r\n]+\z/], 1]]
