# @summary What a line of a policy does
type Choria::PolicyAction = Enum['allow', 'deny']
