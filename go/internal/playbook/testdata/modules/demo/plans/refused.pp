# Calls a function in a way that it refuses. The test finds the line of each way by its name.
plan demo::refused (String $how, String $dir) {
  $memory = { 'type' => 'memory' }
  $file = { 'type' => 'file', 'file' => "${dir}/s.yaml", 'create' => true }
  $metadata = { 'metadata' => { 'parameters' => { 'b' => { 'type' => 'String' } } } }
  case $how {
    'task_type': { choria::task('abacus', {}) }
    'task_no_properties': { choria::task('shell') }
    'task_tries': { choria::task('shell', { 'command' => 'true', 'tries' => 0 }) }
    'task_command': { choria::task('shell', {}) }
    'task_nodes': { choria::task({ 'action' => 'puppet.status', 'nodes' => [] }) }
    'task_action': { choria::task({ 'nodes' => ['a'] }) }
    'task_assert': { choria::task({ 'action' => 'puppet.status', 'nodes' => ['a'], 'assert' => 'a = = b' }) }
    'tasks_type': { choria::tasks([{ '_type' => 'shell', 'command' => 'true' }, { '_type' => 'abacus' }]) }
    'tasks_option': { choria::tasks([], { 'limits' => 3 }) }
    'tasks_limit': { choria::tasks([], { 'limit' => 0 }) }
    'discover_source': { choria::discover('abacus', {}) }
    'discover_argument': { choria::discover(['a']) }
    'discover_limit': { choria::discover({ 'limit' => 'some' }) }
    'discover_uses': { choria::discover({ 'uses' => { 'puppet' => 'new' } }) }
    'data_no_store': { choria::data('a') }
    'data_no_item': { choria::data('', $memory) }
    'data_item_type': { choria::data(5, $memory) }
    'data_store_type': { choria::data('a', 'memory') }
    'data_value_type': { choria::data('a', Timestamp(0), $memory) }
    'data_no_type': { choria::data('a', {}) }
    'data_missing': { choria::data('a', $memory) }
    'data_text': { choria::data('A', ['x'], { 'type' => 'environment' }) }
    'data_delete_no_store': { choria::data_delete('a') }
    'data_delete_item_type': { choria::data_delete(['a'], $memory) }
    'data_delete_no_type': { choria::data_delete('a', { 'type' => 'abacus' }) }
    'data_delete_broken': { choria::data_delete('a', { 'type' => 'shell', 'command' => '/bin/sh -c true' }) }
    'lock_no_block': { choria::lock('a', $memory) }
    'lock_block': { choria::lock('a', $memory) |$x| { fail('not called') } }
    'lock_item': { choria::lock('', $memory) || { fail('not called') } }
    'lock_environment': { choria::lock('a', { 'type' => 'environment' }) || { fail('not called') } }
    'lock_shell': { choria::lock('a', { 'type' => 'shell', 'command' => '/bin/true' }) || { fail('not called') } }
    'lock_type': { choria::lock('a', { 'type' => 'abacus' }) || { fail('not called') } }
    'lock_timeout': { choria::lock('a', $file + { 'timeout' => -1 }) || { fail('not called') } }
    'lock_ttl_consul': { choria::lock('a', { 'type' => 'consul', 'ttl' => 9 }) || { fail('not called') } }
    'lock_ttl_etcd': { choria::lock('a', { 'type' => 'etcd', 'ttl' => 1 }) || { fail('not called') } }
    'lock_ttl_kv': { choria::lock('a', { 'type' => 'kv', 'bucket' => 'b', 'ttl' => 0 }) || { fail('not called') } }
    'lock_held': { choria::lock('a', $file) || { choria::lock('a', $file + { 'timeout' => 0 }) || { fail('not called') } } }
    'groups_none': { [1].choria::in_groups_of(0) |$group| { fail('not called') } }
    'groups_no_block': { [1].choria::in_groups_of(2) }
    'groups_text': { 'a'.choria::in_groups_of(2) |$group| { fail('not called') } }
    'on_error_no_block': { 'a'.choria::on_error() }
    'on_success_no_block': { 'a'.choria::on_success() }
    'sleep_negative': { choria::sleep(-1) }
    'sleep_text': { choria::sleep('1') }
    'exist_type': { choria::playbook_exist(5) }
    'run_unknown': { choria::run_playbook('demo::nope', { '_catch_errors' => true }) }
    'run_no_name': { choria::run_playbook('') }
    'run_arguments': { choria::run_playbook('demo::refused', ['a']) }
    'run_parameter': { choria::run_playbook('demo::deep::adds', { 'a' => 1, 'c' => 2 }) }
    'parallel_limit': { choria::parallel([1], { 'limit' => 0 }) |$n| { fail('not called') } }
    'parallel_option': { choria::parallel([1], { 'limits' => 1 }) |$n| { fail('not called') } }
    'parallel_items': { choria::parallel('a') |$n| { fail('not called') } }
    'parallel_no_block': { choria::parallel([1]) }
    'ensure_no_block': { choria::ensure() }
    'ensure_argument': { choria::ensure(1) || { fail('not called') } }
    'ensure_block': { choria::ensure() |$x| { fail('not called') } }
    'validate_input': { choria::tasks::validate_input({ 'a' => 1 }, $metadata) }
    'validate_metadata': { choria::tasks::validate_input({}, 'a') }
    'metadata_task': { choria::tasks::metadata(5) }
    'to_json': { choria::to_json() }
    'to_yaml': { choria::to_yaml() }
    default: { return('accepted') }
  }
}
