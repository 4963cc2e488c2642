# @summary The identity of one node
type Choria::Node = String[1]
