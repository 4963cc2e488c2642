# @summary A secret; one that is not Sensitive is treated as if it were
type Choria::Secret = Variant[String, Sensitive[String]]
