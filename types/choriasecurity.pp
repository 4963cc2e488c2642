# @summary Settings of the security provider choria
type Choria::ChoriaSecurity = Struct[{
    token_file                => Stdlib::Absolutepath,
    seed_file                 => Stdlib::Absolutepath,
    Optional[certificate]     => Stdlib::Absolutepath,
    Optional[key]             => Stdlib::Absolutepath,
    Optional[ca]              => Stdlib::Absolutepath,
    Optional[trusted_signers] => Array[Pattern[/\A[0-9a-fA-F]+\z/]],
    Optional[sign_replies]    => Boolean,
}]
