# @summary How long a stream keeps messages: seconds, or a number with a unit up to years
type Choria::Retention = Pattern[/\A\d+[smhdwMy]?\z/]
