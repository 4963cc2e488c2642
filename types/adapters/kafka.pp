# @summary A data adapter that publishes to Kafka
#
# The file of the password is not managed: it has the password in its first line, and only root and the user of
# the broker may read it.
type Choria::Adapters::Kafka = Struct[{
    'type'                 => Enum['kafka'],
    stream                 => Struct[{
        servers                     => Array[Pattern[/\A(?:[a-zA-Z0-9][a-zA-Z0-9.-]*|\[[0-9a-fA-F:.]+\]):\d{1,5}\z/], 1],
        Optional[topic]             => String[1],
        Optional[workers]           => Integer[1, 100],
        Optional[tls]               => Boolean,
        Optional['tls.ca']          => Stdlib::Absolutepath,
        Optional['tls.certificate'] => Stdlib::Absolutepath,
        Optional['tls.key']         => Stdlib::Absolutepath,
        Optional[sasl]              => Enum['plain', 'scram-sha-256', 'scram-sha-512'],
        Optional[user]              => String[1],
        Optional[password_file]     => Stdlib::Absolutepath,
    }],
    ingest                 => Choria::Adapters::Ingest,
    Optional[queue_len]    => Integer[1, 1000000],
    Optional[dead_letters] => String[1],
    Optional[spill]        => Choria::Adapters::Spill,
}]
