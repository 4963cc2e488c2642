# @summary The name of a federated cluster
type Choria::ClusterName = Pattern[/\A[a-zA-Z0-9_-]+\z/]
