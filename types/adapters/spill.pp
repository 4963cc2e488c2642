# @summary Where messages of a data adapter wait while they cannot be published
#
# `directory` is made, and the service may write to it; without one it is below the store of the streams, or where
# there is none below /var/lib/choria. `max_size` is how many bytes may wait there.
type Choria::Adapters::Spill = Struct[{
    Optional[directory] => Stdlib::Absolutepath,
    Optional[max_size]  => Integer[1048576],
}]
