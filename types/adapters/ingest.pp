# @summary What a data adapter receives
type Choria::Adapters::Ingest = Struct[{
    topic              => String[1],
    Optional[protocol] => Enum['request', 'reply'],
    Optional[workers]  => Integer[1, 100],
}]
