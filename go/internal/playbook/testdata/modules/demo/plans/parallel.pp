# Runs blocks at the same time.
plan demo::parallel (String $how, String $dir, Hash $store = { 'type' => 'memory' }) {
  $outer = 'outer'
  case $how {
    'values': {
      $values = choria::parallel(['a', 'b', 'c']) |$item| {
        $mine = "${outer} ${item}"
        # a waits for c, so all of them must run at the same time.
        if $item == 'a' {
          choria::task('shell', { 'command' => "while [ ! -e ${dir}/c ]; do sleep 0.02; done", 'timeout' => 60 })
        } else {
          choria::task('shell', { 'command' => "touch ${dir}/${item}" })
        }
        $nested = choria::parallel([1, 2, 3], { 'limit' => 2 }) |$n| {
          choria::data("${item}${n}", $n, $store)
          $read = choria::data("${item}${n}", $store)
          next("${mine} ${read}")
        }
        notice("branch ${mine}")
        $other = choria::run_playbook('demo::deep::adds', { 'a' => 2, 'b' => 3 })
        [$mine, $nested, $other, $facts['choria']['playbook']]
      }
      return({ 'values' => $values, 'outer' => $outer })
    }
    'fail': {
      choria::parallel([1, 2, 3]) |$n| {
        choria::task('shell', { 'command' => "touch ${dir}/${n}" })
        if $n == 2 { fail("branch ${n}") }
      }
    }
    'wait': {
      choria::parallel([1, 2, 3]) |$n| {
        choria::ensure() || { choria::task('shell', { 'command' => "echo cleaned ${n}" }) }
        choria::lock("l${n}", $store) || {
          choria::parallel([1, 2]) |$m| {
            choria::ensure() || { notice("cleanup ${n} ${m}") }
            choria::sleep(600)
          }
        }
      }
    }
    'lock': {
      choria::parallel([1, 2, 3, 4]) |$n| {
        choria::lock('same', $store) || {
          choria::task('shell', { 'command' => "mkdir ${dir}/alone && sleep 0.02 && rmdir ${dir}/alone" })
        }
      }
    }
    default: { fail("what is ${how}?") }
  }
}
