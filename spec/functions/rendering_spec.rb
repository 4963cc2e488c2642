# frozen_string_literal: true

RSpec.describe 'choria::hash2config' do
  it { is_expected.to run.with_params({}).and_return('') }

  it 'sorts keys, joins arrays and leaves out what is undef' do
    is_expected.to run.with_params({ 'b' => [1, 2.5, 'x'], 'a' => true, 'd' => nil, 'c' => '', 'e' => false, 'f' => 3 })
                      .and_return("a = true\nb = 1, 2.5, x\nc =\ne = false\nf = 3\n")
  end

  it { is_expected.to run.with_params({ 'a' => "b\nc = d" }).and_raise_error(/the value of a has a newline/) }
  it { is_expected.to run.with_params({ 'a' => ["b\r"] }).and_raise_error(/newline/) }
  it { is_expected.to run.with_params({ 'a = b' => 1 }).and_raise_error(ArgumentError) }
  it { is_expected.to run.with_params({ 'a' => [true] }).and_raise_error(ArgumentError) }
  it { is_expected.to run.with_params({ 'a' => sensitive('b') }).and_raise_error(ArgumentError) }
end

RSpec.describe 'choria::to_json' do
  it 'sorts keys at every depth' do
    is_expected.to run.with_params({ 'b' => [{ 'd' => 1, 'c' => nil }], 'a' => 'é' })
                      .and_return(%({\n  "a": "é",\n  "b": [\n    {\n      "c": null,\n      "d": 1\n    }\n  ]\n}\n))
  end
end

RSpec.describe 'choria::to_yaml' do
  it 'sorts keys and has no aliases' do
    twice = { 'q' => 1, 'p' => [2] }
    is_expected.to run.with_params({ 'b' => twice, 'a' => twice })
                      .and_return("---\na:\n  p:\n  - 2\n  q: 1\nb:\n  p:\n  - 2\n  q: 1\n")
  end
end
