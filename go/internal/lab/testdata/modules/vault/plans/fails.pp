# @summary Fails with a secret in its error
#
# @param secret
#   The secret.
plan vault::fails (
  Sensitive[String[1]] $secret,
) {
  fail("the server does not take ${secret.unwrap}")
}
