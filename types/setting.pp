# @summary The value of one key of a configuration file; undef leaves the key out
type Choria::Setting = Optional[Variant[
    String,
    Numeric,
    Boolean,
    Array[Variant[String, Numeric]],
    Sensitive[Variant[String, Numeric]],
]]
