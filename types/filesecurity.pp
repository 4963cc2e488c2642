# @summary Settings of the security provider file
type Choria::FileSecurity = Struct[{
    certificate => Stdlib::Absolutepath,
    key         => Stdlib::Absolutepath,
    ca          => Stdlib::Absolutepath,
}]
