package cspec_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"choria.io/choria/go/internal/cspec"
)

// A browser is a session of a real one, driven as W3C WebDriver describes. Elements are named by CSS selectors.
type browser struct {
	t       testing.TB
	session string // URL
}

// elementKey is how the protocol marks the reference to an element.
const elementKey = "element-6066-11e4-a52e-4f735466cecf"

// openBrowser starts Debian's Chromium, which goes when the test ends.
func openBrowser(t testing.TB, width int) *browser {
	t.Helper()
	driver, err := exec.LookPath("chromedriver")
	if err != nil {
		t.Fatal("no browser: install the packages chromium and chromium-driver, as make test does")
	}
	home := t.TempDir()
	cmd := exec.Command(driver, "--port=0")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // the browser goes with it
	// Services of a desktop are not there, and are not to be looked for.
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_RUNTIME_DIR="+home, "DBUS_SESSION_BUS_ADDRESS=disabled:")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		cmd.Wait()
	})
	lines := bufio.NewScanner(out)
	started := regexp.MustCompile(`started successfully on port (\d+)`)
	var port string
	for port == "" && lines.Scan() {
		if m := started.FindStringSubmatch(lines.Text()); m != nil {
			port = m[1]
		}
	}
	if port == "" {
		t.Fatalf("the driver names no port: %v", lines.Err())
	}
	go io.Copy(io.Discard, out)

	b := &browser{t: t, session: "http://127.0.0.1:" + port + "/session"}
	var opened struct {
		ID string `json:"sessionId"`
	}
	b.call(http.MethodPost, "", map[string]any{"capabilities": map[string]any{"alwaysMatch": map[string]any{
		"browserName":       "chrome",
		"goog:loggingPrefs": map[string]string{"browser": "ALL"},
		"goog:chromeOptions": map[string]any{"args": []string{
			"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
			"--disable-background-networking", "--disable-component-update", "--disable-sync",
			"--user-data-dir=" + filepath.Join(home, "profile"), fmt.Sprintf("--window-size=%d,800", width),
		}},
	}}}, &opened)
	b.session += "/" + opened.ID
	t.Cleanup(func() { b.call(http.MethodDelete, "", nil, nil) })
	return b
}

// call sends one command; the value of its answer goes to value, unless that is nil.
func (b *browser) call(method, path string, body, value any) {
	b.t.Helper()
	var data []byte
	if method == http.MethodPost {
		if body == nil {
			body = struct{}{}
		}
		var err error
		if data, err = json.Marshal(body); err != nil {
			b.t.Fatal(err)
		}
	}
	req, err := http.NewRequest(method, b.session+path, bytes.NewReader(data))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := (&http.Client{Timeout: 2 * time.Minute}).Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		b.t.Fatalf("%s %s: %s: %s %v", method, path, resp.Status, answer, err)
	}
	if value == nil {
		return
	}
	if err := json.Unmarshal(answer, &struct{ Value any }{value}); err != nil {
		b.t.Fatalf("%s %s: %s: %v", method, path, answer, err)
	}
}

// elements are the paths of the elements that a selector names.
func (b *browser) elements(selector string) []string {
	b.t.Helper()
	var found []map[string]string
	b.call(http.MethodPost, "/elements", map[string]string{"using": "css selector", "value": selector}, &found)
	var paths []string
	for _, e := range found {
		paths = append(paths, "/element/"+e[elementKey])
	}
	return paths
}

// text is what a reader sees of the first element that a selector names: nothing of what is hidden.
func (b *browser) text(selector string) string {
	b.t.Helper()
	paths := b.elements(selector)
	if len(paths) == 0 {
		b.t.Fatalf("no element %s", selector)
	}
	var text string
	b.call(http.MethodGet, paths[0]+"/text", nil, &text)
	return text
}

// number is what an expression in JavaScript gives.
func (b *browser) number(expression string) (n float64) {
	b.t.Helper()
	b.call(http.MethodPost, "/execute/sync", map[string]any{"script": "return " + expression, "args": []any{}}, &n)
	return n
}

// TestPageInBrowser reads the page as a person does, in a wide window and on a telephone.
func TestPageInBrowser(t *testing.T) {
	file := filepath.Join(t.TempDir(), "report.html")
	if err := os.WriteFile(file, []byte(render(t, report, cspec.Report.HTML)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, width := range []int{1200, 500} {
		t.Run(fmt.Sprint(width), func(t *testing.T) {
			b := openBrowser(t, width)
			b.call(http.MethodPost, "/url", map[string]string{"url": "file://" + file}, nil)

			var title string
			if b.call(http.MethodGet, "/title", nil, &title); title != "cspec: 2 failed" {
				t.Errorf("title %q", title)
			}
			if got := b.text("h1"); got != "2 of 5 cases failed" {
				t.Errorf("heading %q", got)
			}
			var colour string
			if b.call(http.MethodGet, b.elements("h1")[0]+"/css/color", nil, &colour); !strings.HasPrefix(colour, "rgba(207, 34, 46") {
				t.Errorf("a heading of failures has the colour %s: are the styles refused?", colour)
			}
			failures := b.text("#failures")
			for _, want := range []string{"fails </pre><script>alert(1)</script>", "/m/site/plans/our/suite.pp:7", "2: n1, n2", "1: n3", "Nodes: n<1>, n2"} {
				if !strings.Contains(failures, want) {
					t.Errorf("a reader does not see %q in\n%s", want, failures)
				}
			}
			if !(b.number("document.getElementById('failures').getBoundingClientRect().top") < b.number("document.getElementById('suites').getBoundingClientRect().top")) {
				t.Error("the failures are not above the suites")
			}
			if wide, window := b.number("document.documentElement.scrollWidth"), b.number("document.documentElement.clientWidth"); wide > window {
				t.Errorf("the page is %v wide, the window %v", wide, window)
			}

			// The cases of a suite are shown when it is clicked.
			if got := b.text("#suites details"); strings.Contains(got, "is skipped") {
				t.Errorf("a suite is open from the start: %s", got)
			}
			b.call(http.MethodPost, b.elements("#suites summary")[0]+"/click", nil, nil)
			if got := b.text("#suites details"); !strings.Contains(got, "is skipped") || !strings.Contains(got, "[quick]") {
				t.Errorf("a suite that was clicked shows %s", got)
			}

			var log []struct{ Level, Message string }
			if b.call(http.MethodPost, "/se/log", map[string]string{"type": "browser"}, &log); len(log) != 0 {
				t.Errorf("the browser complains: %+v", log)
			}
		})
	}
}
