# @summary A data adapter that publishes to a stream of Choria or any other JetStream
#
# The type stands beside `stream` or inside it; `choria_streams` when in neither place.
type Choria::Adapters::Streams = Struct[{
    Optional['type']       => Enum['choria_streams', 'jetstream'],
    stream                 => Struct[{
        Optional['type']    => Enum['choria_streams', 'jetstream'],
        topic               => String[1],
        Optional[servers]   => Array[Choria::BrokerUrl],
        Optional[workers]   => Integer[1, 100],
    }],
    ingest                 => Choria::Adapters::Ingest,
    Optional[queue_len]    => Integer[1, 1000000],
    Optional[dead_letters] => String[1],
    Optional[spill]        => Choria::Adapters::Spill,
}]
