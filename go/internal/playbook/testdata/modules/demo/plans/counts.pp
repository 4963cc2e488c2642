# Makes calls.
plan demo::counts (Integer $calls) {
  notice('first line')
  choria::data('x', 1, { 'type' => 'memory' })
  Integer[1, $calls].each |$i| {
    choria::data('x', { 'type' => 'memory' })
  }
}
