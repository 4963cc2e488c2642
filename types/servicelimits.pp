# @summary Limits of a service, written to a drop-in of its unit
#
# `nofile` is the number of open files, `memory_max` a size such as `512M`, `cpu_quota` a share of one
# processor such as `50%`, `tasks_max` a number of threads, `environment` variables for the daemon.
type Choria::ServiceLimits = Struct[{
    Optional[nofile]      => Variant[Integer[1], Enum['infinity']],
    Optional[memory_max]  => Variant[Integer[1], Pattern[/\A\d+[KMGT%]?\z/, /\Ainfinity\z/]],
    Optional[cpu_quota]   => Pattern[/\A\d+%\z/],
    Optional[tasks_max]   => Variant[Integer[1], Pattern[/\A\d+%?\z/, /\Ainfinity\z/]],
    Optional[environment] => Hash[Pattern[/\A[A-Za-z_]\w*\z/], Pattern[/\A[^\n"\\]*\z/]],
}]
