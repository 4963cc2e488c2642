# @summary A time with a unit: seconds, minutes or hours
type Choria::Duration = Pattern[/\A\d+[smh]\z/]
