# @summary Keys and values of a configuration file
type Choria::Settings = Hash[Pattern[/\A[^\s=#][^\s=]*\z/], Choria::Setting]
