# frozen_string_literal: true

# What each module of an agent that the server has built in does: settings and a policy, and no files.
#
# The file of the agent in plugin.d, and the actions that are open to everybody.
RSpec.shared_examples 'the module of an agent' do |name, open|
  settings = "/etc/choria/plugin.d/#{name}.cfg"
  policy = "/etc/choria/policies/#{name}.policy"
  lines = lambda do |*policies, site: []|
    ["policy default deny\n", "# of the agent #{name}\n", *policies, "# of the site\n", *site].join
  end
  read = open.empty? ? [] : ["allow\t*\t#{open.join(' ')}\t*\t*\n"]

  # The class choria would declare it without parameters.
  choria = lambda do |parameters = ''|
    "class { 'choria': plugin_classes_exclude => ['mcollective_agent_#{name}'], #{parameters} }"
  end

  let(:pre_condition) { choria.call }

  it 'lets everybody look, and nobody change anything' do
    is_expected.to compile.with_all_deps
    expect(content_of(policy)).to eq(lines.call(*read))
    is_expected.not_to contain_file(settings).with_ensure('file')
  end

  it 'marks the node, for discovery' do
    expect(catalogue.resource('file', policy)).to be_tagged("mcollective_agent_#{name}_server")
  end

  context 'with settings and policies of the site' do
    let(:pre_condition) { choria.call("site_policies => [{ 'action' => 'allow', 'callers' => 'choria=ops' }]") }
    let(:params) do
      { 'config' => { 'a' => 1, 'b' => 2 }, 'server_config' => { 'b' => 3 }, 'client_config' => { 'b' => 4 },
        'policies' => [{ 'action' => 'deny', 'callers' => 'choria=guest', 'actions' => 'status' }] }
    end

    it 'has them in place of its own' do
      expect(content_of(settings).lines.drop(1)).to eq(["a = 1\n", "b = 3\n"])
      expect(content_of(policy)).to eq(
        lines.call("deny\tchoria=guest\tstatus\t*\t*\n", site: ["allow\tchoria=ops\t*\t*\t*\n"])
      )
    end

    it 'restarts the server for settings alone' do
      is_expected.to contain_file(settings).that_notifies('Class[choria::service]')
      expect(catalogue.resource('file', policy)[:notify]).to be_nil
    end
  end

  context 'without a server on the node' do
    let(:pre_condition) { choria.call('client => true, server => false') }
    let(:params) { { 'config' => { 'a' => 1 } } }

    it 'has settings and no policy' do
      expect(content_of(settings).lines.drop(1)).to eq(["a = 1\n"])
      is_expected.not_to contain_file(policy)
    end
  end

  context 'when it is to be absent' do
    let(:params) { { 'ensure' => 'absent' } }

    it 'removes both' do
      is_expected.to contain_file(settings).with_ensure('absent')
      is_expected.to contain_file(policy).with_ensure('absent')
    end
  end
end
