# @summary The name of a collective
type Choria::Collective = Pattern[/\A[a-zA-Z0-9_-]+\z/]
