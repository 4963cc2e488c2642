# @summary The name of a node or process on the network
type Choria::Identity = Pattern[/\A[\w.\-]+\z/]
