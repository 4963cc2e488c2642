# @summary The old name of Choria::Collective
type Mcollective::Collective = Choria::Collective
