# Waits for ever, whatever it catches.
plan demo::waits () {
  choria::run_playbook('demo::deep::sleeps', '_catch_errors' => true)
  notice('went on')
  choria::run_playbook('demo::deep::sleeps', '_catch_errors' => true)
}
