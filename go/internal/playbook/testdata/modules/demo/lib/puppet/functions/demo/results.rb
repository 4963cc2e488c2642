# frozen_string_literal: true

# Makes the results of a task that was not run.
Puppet::Functions.create_function(:'demo::results') do
  dispatch :results do
    param 'Array[String]', :nodes
    return_type 'Choria::TaskResults'
  end

  def results(nodes)
    results = nodes.map do |node|
      value = { 'sender' => node, 'statuscode' => 0, 'data' => { 'idling' => true } }
      { 'host' => node, 'result' => { 'value' => value, 'type' => 'mcollective', 'fail_ok' => false } }
    end
    PuppetX::Choria::TaskResults.from_host('results' => results)
  end
end
