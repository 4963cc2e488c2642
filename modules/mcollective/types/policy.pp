# @summary The old name of Choria::PolicyLine
type Mcollective::Policy = Choria::PolicyLine
