# @summary What a data adapter receives
#
# `verify` is whether only requests whose signature is good are published; they are unless it is false.
type Choria::Adapters::Ingest = Struct[{
    topic              => String[1],
    Optional[protocol] => Enum['request', 'reply'],
    Optional[workers]  => Integer[1, 100],
    Optional[verify]   => Boolean,
}]
