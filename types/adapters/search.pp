# @summary A data adapter that publishes to Elasticsearch or OpenSearch
#
# The file of the password, or of the API key, is not managed: it has that in its first line, and only root and
# the user of the broker may read it.
type Choria::Adapters::Search = Struct[{
    'type'                 => Enum['elasticsearch', 'opensearch'],
    stream                 => Struct[{
        urls                        => Array[Stdlib::HTTPUrl, 1],
        Optional[topic]             => Pattern[/\A[a-z0-9%][a-z0-9%._-]*\z/],
        Optional[workers]           => Integer[1, 100],
        Optional['tls.ca']          => Stdlib::Absolutepath,
        Optional['tls.certificate'] => Stdlib::Absolutepath,
        Optional['tls.key']         => Stdlib::Absolutepath,
        Optional[user]              => String[1],
        Optional[password_file]     => Stdlib::Absolutepath,
        Optional[api_key_file]      => Stdlib::Absolutepath,
    }],
    ingest                 => Choria::Adapters::Ingest,
    Optional[queue_len]    => Integer[1, 1000000],
    Optional[dead_letters] => String[1],
    Optional[spill]        => Choria::Adapters::Spill,
}]
