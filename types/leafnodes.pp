# @summary Brokers to connect to as a leafnode, by name
type Choria::Leafnodes = Hash[Pattern[/\A[a-zA-Z0-9_-]+\z/], Choria::Leafnode]
