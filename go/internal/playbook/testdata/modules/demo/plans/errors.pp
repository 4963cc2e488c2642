# Fails in the way that is asked for.
plan demo::errors (String $how) {
  case $how {
    'fail': {
      fail('as asked')
    }
    'unknown_variable': {
      notice($nope)
    }
    'unknown_function': {
      nope()
    }
    'task': {
      [1].each |$x| {
        choria::task('shell', 'command' => 'exit 7')
      }
    }
    'property': {
      choria::task('mcollective', 'action' => 'a.b', '_catch_errors' => true)
    }
    'data': {
      choria::data('x', { 'type' => 'file', 'file' => '/does/not/exist.yaml' })
    }
    'discover': {
      choria::discover('mcollective', 'facts' => ['country=nowhere'], 'when_empty' => 'nobody home')
    }
    'unknown_playbook': {
      choria::run_playbook('demo::nope', '_catch_errors' => true)
    }
    'nested': {
      with(1) |$x| {
        choria::run_playbook('demo::deep::fails', 'message' => 'from below')
      }
    }
    'type': {
      choria::sleep('x')
    }
    'recursion': {
      choria::run_playbook('demo::errors', 'how' => 'recursion')
    }
    'break': {
      break()
    }
    'exit': {
      demo::quit()
    }
    'ruby': {
      demo::raises()
    }
    'resource': {
      $x = File['/etc/hosts']
    }
    'library': {
      demo::extraordinary('library')
    }
    'killed': {
      choria::lock('l', { 'type' => 'memory' }) || {
        choria::sleep(0)
        demo::extraordinary('killed')
      }
    }
    'caught': {
      return(['library', 'undefined', 'memory'].map |$what| {
        $caught = choria::run_playbook('demo::deep::extraordinary', 'what' => $what, '_catch_errors' => true)
        [$caught.message, $caught.exception.details['line']]
      })
    }
    default: {
      fail("unknown way ${how}")
    }
  }
}
