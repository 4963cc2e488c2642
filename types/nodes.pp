# @summary Identities of nodes, possibly none
type Choria::Nodes = Array[Choria::Node]
