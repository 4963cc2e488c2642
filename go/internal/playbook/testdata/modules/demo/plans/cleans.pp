# Cleans up after itself.
plan demo::cleans (String $how, Hash $store = {}) {
  $word = 'first'
  choria::ensure() || { notice("cleanup ${word}") }
  choria::ensure() || {
    choria::task('shell', { 'command' => 'sleep 0.1; echo cleaned by a task' })
  }
  case $how {
    'fail': { fail('as asked') }
    'return': { return('returned') }
    'wait': { choria::lock('l', $store) || { choria::sleep(600) } }
    'bad': {
      choria::ensure() || { fail('cleanup failed') }
    }
    'both': {
      choria::ensure() || { fail('cleanup failed') }
      fail('as asked')
    }
    'nested': {
      choria::run_playbook('demo::cleans', { 'how' => 'fail', '_catch_errors' => true })
      notice('after the nested one')
    }
    default: { [1].each |$i| { notice('body') } }
  }
  'end'
}
