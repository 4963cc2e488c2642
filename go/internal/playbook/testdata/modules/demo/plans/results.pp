# What plans can do with results.
plan demo::results () {
  $results = choria::task('mcollective',
    _catch_errors => true,
    'action'      => 'puppet.status',
    'nodes'       => ['good', 'bad', 'silent'],
    'silent'      => true,
    'fact_filter' => ['kernel=Linux'],
    'properties'  => {}
  )

  $blocks = [
    $results.choria::on_error |$r| { choria::data('on_error', $r.count, { 'type' => 'memory' }) },
    $results.choria::on_success |$r| { choria::data('on_success', 1, { 'type' => 'memory' }) },
    $results.on_error |$r| { choria::data('short', true, { 'type' => 'memory' }) },
  ]

  $good = $results.find('good')
  $bad = $results.find('bad')

  $answer = {
    'is_results'    => $results =~ Choria::TaskResults,
    'is_result'     => $good =~ Choria::TaskResult,
    'count'         => $results.count,
    'empty'         => $results.empty,
    'ok'            => $results.ok,
    'fail_ok'       => $results.fail_ok,
    'hosts'         => $results.hosts,
    'message'       => $results.message,
    'set_message'   => $results.error_set.message,
    'error_set'     => $results.error_set.hosts,
    'ok_set'        => $results.ok_set.hosts,
    'first'         => $results.first.host,
    'unknown'       => $results.find('nobody'),
    'good_ok'       => $good.ok,
    'good_type'     => $good.type,
    'good_error'    => $good.error,
    'good_data'     => $good['data']['idling'],
    'good_sender'   => $good['sender'],
    'good_none'     => $good['nothing'],
    'bad_error'     => $bad.error.message,
    'bad_kind'      => $bad.error.kind,
    'bad_code'      => $bad.error.details['issue_code'],
    'bad_is_error'  => $bad.error =~ Error,
    'map'           => $results.map |$r| { $r.host },
    'filter'        => $results.filter |$r| { $r.ok }.map |$r| { $r.host },
    'reduce'        => $results.reduce('') |$memo, $r| { "${memo}${r.host[0]}" },
    'index'         => $results.map |$i, $r| { "${i}${r.host}" },
    'same'          => $blocks.all |$b| { $b == $results },
    'on_error'      => choria::data('on_error', { 'type' => 'memory' }),
    'on_success'    => choria::data('on_success', { 'type' => 'memory', 'default' => 'not called' }),
    'short'         => choria::data('short', { 'type' => 'memory' }),
    'literal'       => "${results.ok_set}",
    'results'       => $results,
  }

  return $answer
}
