# @summary A data adapter that publishes to NATS Streaming
#
# The type stands beside `stream` or inside it.
type Choria::Adapters::NatsStream = Struct[{
    Optional['type']      => Enum['nats_stream', 'natsstream'],
    stream              => Struct[{
        Optional['type']    => Enum['nats_stream', 'natsstream'],
        clusterid         => String[1],
        servers           => Array[Choria::BrokerUrl, 1],
        Optional[topic]   => String[1],
        Optional[workers] => Integer[1, 100],
    }],
    ingest              => Choria::Adapters::Ingest,
    Optional[queue_len] => Integer[1],
}]
