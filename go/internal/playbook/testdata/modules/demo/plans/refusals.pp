# Has everything refused that demo::refused can do.
plan demo::refusals (Array[String] $ways, String $dir) {
  return($ways.map |$how| {
    $caught = choria::run_playbook('demo::refused', { 'how' => $how, 'dir' => $dir, '_catch_errors' => true })
    if $caught =~ Choria::TaskResults and $caught.exception {
      { 'way' => $how, 'msg' => $caught.message, 'line' => $caught.exception.details['line'] }
    } else {
      { 'way' => $how, 'msg' => 'was accepted', 'line' => 0 }
    }
  })
}
