plan demo::broken () {
  $x = [1
}
