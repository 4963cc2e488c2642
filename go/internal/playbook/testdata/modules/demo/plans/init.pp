# The plan of the module itself.
plan demo () {
  return $facts['choria']['playbook']
}
