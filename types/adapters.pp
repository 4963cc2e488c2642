# @summary Data adapters by name
type Choria::Adapters = Hash[
  Pattern[/\A[a-zA-Z0-9_]+\z/],
  Variant[Choria::Adapters::Streams, Choria::Adapters::Kafka, Choria::Adapters::Search, Choria::Adapters::NatsStream]
]
