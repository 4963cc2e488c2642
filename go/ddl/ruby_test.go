package ddl

import (
	"strings"
	"testing"
)

func TestRuby(t *testing.T) {
	a, err := Parse([]byte(`{"metadata":{"name":"demo","description":"It's a \\ demo","author":"a","license":"l","version":"1.0.0","url":"u","timeout":5,"provider":"ruby","service":true},
 "actions":[{"action":"run","description":"Runs","display":"always",
  "input":{"msg":{"prompt":"Msg","description":"d","type":"string","optional":false,"validation":"^[a-z']+$","maxlength":10,"default":"abc"},
           "safe":{"prompt":"S","description":"d","type":"string","optional":true,"validation":"shellsafe","maxlength":5},
           "mode":{"prompt":"M","description":"d","type":"list","optional":true,"list":["a","b"]},
           "n":{"prompt":"N","description":"d","type":"integer","optional":true,"default":3}},
  "output":{"out":{"description":"o","display_as":"Out","type":"hash","default":{"a":[1,null,"x"]}}},
  "aggregate":[{"function":"summary","args":["out",{"format":"%s: %d"}]},{"function":"average","args":["out"]}]},
  {"action":"nothing","description":"n","input":{},"output":{}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	want := `metadata :name => 'demo',
         :description => 'It\'s a \\ demo',
         :author => 'a',
         :license => 'l',
         :version => '1.0.0',
         :url => 'u',
         :provider => 'ruby',
         :service => true,
         :timeout => 5

action 'run', :description => 'Runs' do
  display :always

  input :mode,
        :prompt => 'M',
        :description => 'd',
        :type => :list,
        :list => ['a', 'b'],
        :optional => true

  input :msg,
        :prompt => 'Msg',
        :description => 'd',
        :type => :string,
        :default => 'abc',
        :validation => '^[a-z\']+$',
        :maxlength => 10,
        :optional => false

  input :n,
        :prompt => 'N',
        :description => 'd',
        :type => :integer,
        :default => 3,
        :optional => true

  input :safe,
        :prompt => 'S',
        :description => 'd',
        :type => :string,
        :validation => :shellsafe,
        :maxlength => 5,
        :optional => true

  output :out,
         :description => 'o',
         :display_as => 'Out',
         :type => :hash,
         :default => {'a' => [1, nil, 'x']}

  summarize do
    aggregate summary(:out, :format => '%s: %d')
    aggregate average(:out)
  end
end

action 'nothing', :description => 'n' do
  display :failed
end
`
	if got := a.Ruby(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	d, err := ParseData([]byte(`{"metadata":{"name":"size","description":"d","author":"a","license":"l","version":"1","url":"u","timeout":1},
 "query":{"prompt":"P","description":"d","type":"string","optional":false,"validation":".","maxlength":5},"output":{"n":{"description":"o","display_as":"N"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	if got := d.Ruby(); !strings.Contains(got, "dataquery :description => 'd' do\n\n  input :query,\n") || !strings.Contains(got, "  output :n,\n         :description => 'o',\n         :display_as => 'N'\nend\n") {
		t.Errorf("data plugin:\n%s", got)
	}
}
