# @summary A string without characters that a shell acts on
type Choria::ShellSafe = Pattern[/\A(?:[^`$;|><&]|&(?!&))*\z/]
