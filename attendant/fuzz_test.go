package attendant

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// testSolver knows a few names.
func testSolver(t testing.TB) *resolver {
	r := newRoom(t)
	z := r.zone("front")
	for i := range 40 {
		z.host("host"+string(rune('a'+i)), "web", "a.b", "10.0.0."+string(rune('1'+i%9)), "fd00::"+string(rune('1'+i%9)))
	}
	return r.solver()
}

// FuzzAnswer: whatever a client sends, it gets an answer that somebody else's parser reads, that is to its question, and that fits.
func FuzzAnswer(f *testing.F) {
	r := testSolver(f)
	for _, name := range []string{"", "web", "WeB.front", "a.b", "1.0.0.10.in-addr.arpa", strings.Repeat("1.", 31) + "0.ip6.arpa", strings.Repeat("x", 63), strings.Repeat("y.", 127)} {
		for _, kind := range []uint16{typeA, typeAAAA, typePTR, typeMX, 16} {
			m := query(7, strings.TrimSuffix(name, "."), kind)
			f.Add(m)
			m[11] = 1
			f.Add(append(m, 0, 0, typeOPT, 0x10, 0, 0, 0, 0x80, 0, 0, 0))
		}
	}
	loop := query(7, "", typeA)
	loop[5], loop[11] = 1, 1
	f.Add(append(loop, 0xc0, byte(len(loop)), 0, typeOPT, 0, 0, 0, 0, 0, 0, 0, 0)) // a name that points to itself
	f.Add(append(query(7, "web", typeA)[:12], 0xc0, 12, 0, 1, 0, 1))
	f.Fuzz(func(t *testing.T, message []byte) {
		before := bytes.Clone(message)
		q, code, ok := parse(message)
		if !ok {
			return
		}
		answer := q.failure(code)
		if code == success {
			var servers any
			if answer, servers = r.ask(&q, q.limit); answer == nil && servers == nil {
				t.Fatal("neither an answer nor somebody to ask")
			}
		}
		if !bytes.Equal(message, before) {
			t.Error("the question was changed")
		}
		check(t, &q, code, answer)
	})
}

func check(t *testing.T, q *question, code int, answer []byte) {
	var asked, answered dnsmessage.Message
	if err := answered.Unpack(answer); err != nil && code == success && plain(q.name) {
		t.Fatalf("%v: %x", err, answer)
	}
	var p dnsmessage.Parser
	if header, err := p.Start(answer); err != nil || !header.Response || header.ID != q.id() {
		t.Errorf("%+v, %v", header, err)
	}
	if len(answer) > q.limit && len(answer) > q.end+optSize {
		t.Errorf("%d bytes for a client that takes %d", len(answer), q.limit)
	}
	if err := asked.Unpack(q.message); err != nil || len(asked.Questions) != 1 || code != success {
		return
	}
	if got, want := q.name+".", strings.ToLower(asked.Questions[0].Name.String()); plain(q.name) && strings.TrimPrefix(got, ".") != strings.TrimPrefix(want, ".") {
		t.Errorf("the name is read as %q, others read %q", got, want)
	}
	if uint16(asked.Questions[0].Type) != q.kind || asked.Questions[0] != answered.Questions[0] {
		t.Errorf("asked %v, answered %v", asked.Questions, answered.Questions)
	}
}

// plain says whether a name is written by everybody in the same way.
func plain(name string) bool {
	return !strings.ContainsFunc(name, func(r rune) bool { return r == '\\' || r <= ' ' || r > '~' })
}

// FuzzForwarded: whatever a server sends, what is passed on has the question's id and question.
func FuzzForwarded(f *testing.F) {
	asked := query(7, "web.example", typeA)
	good := says(asked, success, "192.0.2.1")
	f.Add(good)
	f.Add(good[:len(asked)])
	f.Add(changed(good, 3, 0x82)[:headerSize])
	f.Fuzz(func(t *testing.T, message []byte) {
		if !answers(message, asked) {
			return
		}
		if len(message) < headerSize || message[0] != asked[0] || message[1] != asked[1] || message[2]&0x80 == 0 {
			t.Fatalf("%x", message)
		}
	})
}

// FuzzHost: whatever a document holds, the zone goes on.
func FuzzHost(f *testing.F) {
	f.Add([]byte(`{"ID":"a","Names":["web"],"Addresses":["10.0.0.1"]}`))
	f.Add([]byte(`{"ID":1}`))
	f.Add([]byte(`{"Names":[""],"Addresses":[""]}`))
	f.Add([]byte(`{"Names":["."],"Addresses":["::ffff:10.0.0.1","fe80::1%eth0","10.0.0.1"]}`))
	f.Add([]byte(`{"Names":["` + strings.Repeat("x", 70) + `"],"Addresses":["10.0.0.1"]}`))
	r := newRoom(f)
	z := r.zone("front")
	z.host("b", "web", "10.0.0.2")
	v := r.solver()
	f.Fuzz(func(t *testing.T, data []byte) {
		write(t, z.dir+"/a.json", data)
		for _, m := range [][]byte{query(7, "web", typeA), query(7, "1.0.0.10.in-addr.arpa", typePTR)} {
			q, code, _ := parse(m)
			if a, _ := v.ask(&q, q.limit); a == nil || code != success || len(a) > q.limit {
				t.Fatalf("%x", a)
			}
		}
	})
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	err := os.WriteFile(path+".tmp", data, 0o600)
	if err == nil {
		err = os.Rename(path+".tmp", path)
	}
	if err != nil {
		t.Fatal(err)
	}
}
