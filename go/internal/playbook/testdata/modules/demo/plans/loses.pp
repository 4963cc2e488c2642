# Loses its lock while it holds it.
plan demo::loses (Hash $store, Hash $lock, Integer $sleeps = 3) {
  choria::ensure() || { choria::task('shell', { 'command' => 'echo cleaned' }) }
  choria::lock('l', $store) || {
    choria::data_delete('choria.lock/l', $lock)
    Integer[1, $sleeps].each |$n| { choria::sleep(2) }
    notice('went on')
  }
}
