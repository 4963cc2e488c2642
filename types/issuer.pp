# @summary The organization whose tokens are trusted, and its public key in hex
type Choria::Issuer = Struct[{
    name   => Pattern[/\A[a-zA-Z0-9_-]+\z/],
    public => Pattern[/\A[0-9a-fA-F]+\z/],
}]
