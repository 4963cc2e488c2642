# @summary The old name of Choria::PolicyAction
type Mcollective::Policy_action = Choria::PolicyAction
