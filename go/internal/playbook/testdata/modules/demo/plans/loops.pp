# Looks at many results: those of a task, or those that Ruby alone has made.
plan demo::loops (Array[String] $nodes, Boolean $task) {
  if $task {
    $results = choria::task('action' => 'puppet.status', 'nodes' => $nodes, 'silent' => true)
  } else {
    $results = demo::results($nodes)
  }
  $idle = $results.filter |$r| { $r.ok and $r['data']['idling'] }
  return $idle.length
}
