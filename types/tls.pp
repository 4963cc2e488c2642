# @summary TLS settings of a connection; an empty string means that nothing is said
type Choria::TLS = Struct[{
    Optional[cert]    => Variant[Stdlib::Absolutepath, String[0, 0]],
    Optional[key]     => Variant[Stdlib::Absolutepath, String[0, 0]],
    Optional[ca]      => Variant[Stdlib::Absolutepath, String[0, 0]],
    Optional[verify]  => Variant[Boolean, String[0, 0]],
    Optional[disable] => Variant[Boolean, String[0, 0]],
}]
