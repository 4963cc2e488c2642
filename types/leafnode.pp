# @summary A broker to connect to as a leafnode
type Choria::Leafnode = Struct[{
    url                   => String[1],
    Optional[account]     => String,
    Optional[credentials] => Variant[Stdlib::Absolutepath, String[0, 0]],
    Optional[tls]         => Choria::TLS,
}]
