# @summary One line of a policy; a field that is missing matches everything
type Choria::PolicyLine = Struct[{
    action            => Choria::PolicyAction,
    Optional[callers] => Choria::PolicyField,
    Optional[actions] => Choria::PolicyField,
    Optional[facts]   => Choria::PolicyField,
    Optional[classes] => Choria::PolicyField,
}]
