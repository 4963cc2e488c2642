# Runs tasks at the same time.
plan demo::several (Integer $limit, Array[Hash] $tasks) {
  $results = choria::tasks($tasks, { 'limit' => $limit })
  return({ 'values' => $results.map |$r| { $r.first.value }, 'ok' => $results.map |$r| { $r.ok } })
}
