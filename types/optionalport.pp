# @summary A port, or 0 for none
type Choria::OptionalPort = Variant[Integer[0, 0], Stdlib::Port]
