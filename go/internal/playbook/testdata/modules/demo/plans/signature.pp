# Shows all sorts of parameters.
# In two lines.
#
# @summary Shows parameters
#
# @param text
#   Some text,
#   in two lines.
# @param secret A secret.
# @return What it was given.
plan demo::signature (
  String[1]                        $text,
  Boolean                          $flag        = false,
  Integer[0, 10]                   $count       = 3,
  Float                            $ratio       = 0.5,
  Array[Integer]                   $numbers     = [1, 2],
  Hash[String, Integer]            $table       = {},
  Struct[{ a => Integer, Optional[b] => Boolean }] $struct = { 'a' => 1 },
  Enum['red', 'green']             $colour      = 'red',
  Optional[Sensitive[String]]      $secret      = undef,
  Variant[Integer, Array[String]]  $mixed       = $count + 1,
  Choria::Nodes                    $nodes       = [],
  Optional[String]                 $config      = undef,
) {
  $given = {
    'text' => $text, 'flag' => $flag, 'count' => $count, 'ratio' => $ratio, 'numbers' => $numbers, 'table' => $table,
    'struct' => $struct, 'colour' => $colour, 'secret' => $secret, 'mixed' => $mixed, 'nodes' => $nodes, 'config' => $config,
  }
  if $secret {
    notice("The secret is ${secret.unwrap}, and ${secret}")
  }
  return $given
}
