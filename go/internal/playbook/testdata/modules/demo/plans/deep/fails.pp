plan demo::deep::fails (String $message) {
  fail($message)
}
