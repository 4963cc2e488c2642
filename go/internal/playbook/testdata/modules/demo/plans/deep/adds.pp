plan demo::deep::adds (Integer $a, Integer $b) {
  [1].each |$x| {
    return($a + $b)
  }
}
