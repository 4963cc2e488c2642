# Does what the report of a run has to tell apart, and to hide.
plan demo::reported (Sensitive[String] $secret) {
  [1, 2, 3].each |$most| { choria::discover({ 'limit' => $most }) }
  choria::task('shell', {
    'command'     => 'echo "out $S"; echo err >&2; head -c 100000 /dev/zero | tr "\\0" x',
    'environment' => { 'S' => $secret },
  })
  choria::data('item', 'x', { 'type' => 'memory', 'tll' => 5 })
}
