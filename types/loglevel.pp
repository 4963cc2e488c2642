# @summary The least level that is logged
type Choria::LogLevel = Enum['debug', 'info', 'warn', 'error', 'fatal']
