# @summary A data adapter that publishes to NATS Streaming
#
# The type stands beside `stream` or inside it. The file of the password is not managed: it has the password in its
# first line, and only root and the user of the broker may read it.
type Choria::Adapters::NatsStream = Struct[{
    Optional['type']       => Enum['nats_stream', 'natsstream'],
    stream                 => Struct[{
        Optional['type']            => Enum['nats_stream', 'natsstream'],
        clusterid                   => String[1],
        servers                     => Array[Choria::BrokerUrl, 1],
        Optional[topic]             => String[1],
        Optional[workers]           => Integer[1, 100],
        Optional[tls]               => Boolean,
        Optional['tls.ca']          => Stdlib::Absolutepath,
        Optional['tls.certificate'] => Stdlib::Absolutepath,
        Optional['tls.key']         => Stdlib::Absolutepath,
        Optional[user]              => String[1],
        Optional[password_file]     => Stdlib::Absolutepath,
    }],
    ingest                 => Choria::Adapters::Ingest,
    Optional[queue_len]    => Integer[1, 1000000],
    Optional[dead_letters] => String[1],
    Optional[spill]        => Choria::Adapters::Spill,
}]
