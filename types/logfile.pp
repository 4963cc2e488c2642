# @summary Where a daemon logs to
type Choria::LogFile = Variant[Enum['stdout', 'stderr', 'discard'], Stdlib::Absolutepath]
