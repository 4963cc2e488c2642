# @summary Has many secrets, and does with them what leaves traces
#
# @param given
#   A secret from the command line.
# @param store
#   A data store with more secrets.
# @param server
#   The URL of an HTTP server, which answers with what it gets.
# @param marker
#   The command writes this file, and goes on once it is gone.
# @return What was done, with all secrets.
plan vault (
  Sensitive[String[1]] $given,
  Hash                 $store,
  String[1]            $server,
  String[1]            $marker,
) {
  $stored = choria::data('stored', $store + { 'sensitive' => true })
  debug("the secrets are ${given.unwrap} and ${stored.unwrap}")
  notice("the secrets are ${given.unwrap} and ${stored.unwrap}")

  # What is known to be a secret, although the plan does not say so.
  $slack = choria::task('slack', {
      'url'           => "${server}/slack",
      'channel'       => '#ops',
      'text'          => 'hello',
      'token'         => choria::data('token', $store),
      '_catch_errors' => true,
  })
  $webhook = choria::task('webhook', {
      'uri'     => "${server}/hook",
      'headers' => { 'Authorization' => "Bearer ${choria::data('header', $store)}" },
      'data'    => { 'password' => $given, 'list' => [$stored] },
  })

  # The answer of the server is logged here, and again in the end.
  notice($webhook.first['value'])
  notice("the token is ${choria::data('token', $store)}")

  # The command has a secret in its environment, prints it, and is looked at while it runs.
  $shell = choria::task('shell', {
      'command'     => 'echo "out $SECRET"; echo "err $SECRET" >&2; : > "$MARKER"; while [ -e "$MARKER" ]; do sleep 0.1; done',
      'environment' => { 'SECRET' => $given, 'MARKER' => $marker },
  })

  # What a node is told, and what it answers.
  $nodes = choria::discover('mcollective', {})
  $resource = choria::task('mcollective', {
      'action'        => 'puppet.resource',
      'nodes'         => [$nodes[0]],
      'properties'    => { 'type' => 'notify', 'name' => 'x', 'password' => $stored },
      '_catch_errors' => true,
  })

  # A variable of later commands, a value that is kept for the run, an error.
  choria::data('SECRET', $given, { 'type' => 'environment' })
  choria::data('kept', $stored, { 'type' => 'memory' })
  choria::ensure() || { notice('the end') }

  $failed = choria::run_playbook('vault::fails', { 'secret' => $given, '_catch_errors' => true })
  warning($failed.message)

  return({
    'given'    => $given,
    'unwrap'   => $given.unwrap,
    'slack'    => $slack,
    'webhook'  => $webhook,
    'shell'    => $shell,
    'resource' => $resource,
    'kept'     => choria::data('kept', { 'type' => 'memory' }),
    'failed'   => $failed.message,
  })
}
