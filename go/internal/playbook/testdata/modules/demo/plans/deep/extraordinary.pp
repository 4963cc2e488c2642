# Fails in a way that Puppet takes for no error, in a branch or right away.
plan demo::deep::extraordinary (String $what) {
  if $what == 'undefined' {
    choria::parallel([1]) |$n| { demo::extraordinary($what) }
  }
  demo::extraordinary($what)
}
