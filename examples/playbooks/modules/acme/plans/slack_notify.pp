# @summary Tells the operators on Slack what a playbook does
#
# How to reach Slack is in one file of the company, with mode 0600, so that no other playbook has to know:
#
#     slack.token: xoxb-...
#     slack.channel: '#ops'
#
# @param message
#   What to tell them.
# @param color
#   How it looks.
# @param settings
#   The file.
plan acme::slack_notify (
  String[1]                       $message,
  Enum['good','warning','danger'] $color    = 'good',
  String[1]                       $settings = '~/.acme.yaml',
) {
  $ds = { 'type' => 'file', 'file' => $settings, 'format' => 'yaml' }

  return choria::task('slack', {
      'description' => "playbook ${facts['choria']['playbook']}",
      'channel'     => choria::data('slack.channel', $ds + { 'default' => '#ops' }),
      'token'       => choria::data('slack.token', $ds + { 'sensitive' => true }),
      'url'         => choria::data('slack.url', $ds + { 'default' => 'https://slack.com/api/chat.postMessage' }),
      'text'        => $message,
      'color'       => $color,
      'fail_ok'     => true, # the work does not depend on Slack
  })
}
