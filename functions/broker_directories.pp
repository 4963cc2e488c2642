# @summary The directories that the broker writes to
#
# @return The store of the streams, and what data adapters keep outside of it; none twice.
# @api private
function choria::broker_directories() >> Array[Stdlib::Absolutepath] {
  $spills = $choria::broker::adapters.map |$name, $adapter| { $adapter.dig('spill', 'directory') }

  unique([$choria::broker::stream_store] + $spills).filter |$directory| { $directory =~ NotUndef }
}
