# @summary What differs from platform to platform, see `data/`
#
# @api private
type Choria::Platform = Struct[{
    package_name         => String[1],
    manage_package       => Boolean,
    manage_service       => Boolean,
    repo_baseurl         => Optional[String[1]],
    user                 => Optional[String[1]],
    group                => Optional[String[1]],
    configdir            => Stdlib::Absolutepath,
    logdir               => Stdlib::Absolutepath,
    libdir               => Stdlib::Absolutepath,
    rubypath             => Stdlib::Absolutepath,
    classesfile          => Optional[Stdlib::Absolutepath],
    ssldir               => Optional[Stdlib::Absolutepath],
    facts_pidfile        => Optional[Stdlib::Absolutepath],
    gem_provider         => String[1],
    required_directories => Array[Stdlib::Absolutepath],
}]
