# Does what counts does, with a function that Ruby alone answers.
plan demo::evaluates (Integer $calls) {
  Integer[1, $calls].each |$i| {
    demo::nothing('x', { 'type' => 'memory' })
  }
}
