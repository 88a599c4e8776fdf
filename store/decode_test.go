package store

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

const richConfig = `{
	"ociVersion": "1.2.0", "unknown": {"x": [1]}, "hostname": "h", "annotations": {"a": "b"},
	"process": {"terminal": true, "consoleSize": {"height": 24, "width": 80}, "user": {"uid": 4294967295, "gid": 1, "additionalGids": [5, 6], "umask": 18},
		"args": ["sh", "-c", "echo <\u20ac>"], "env": [], "cwd": "/", "capabilities": {"bounding": ["CAP_CHOWN"], "ambient": null},
		"rlimits": [{"type": "RLIMIT_NOFILE", "hard": 18446744073709551615, "soft": 1024}], "noNewPrivileges": false, "oomScoreAdj": -500},
	"root": {"path": "rootfs", "readonly": true},
	"mounts": [{"destination": "/proc", "type": "proc", "source": "proc", "options": ["ro"]}, {"destination": "/x", "uidMappings": [{"containerID": 0, "hostID": 1, "size": 2}]}],
	"hooks": {"poststop": [{"path": "/bin/true", "timeout": 5}]},
	"linux": {"sysctl": {"net.a": "1"}, "namespaces": [{"type": "pid"}, {"type": "network", "path": "/p"}],
		"uidMappings": [{"containerID": 0, "hostID": 100000, "size": 65536}], "timeOffsets": {"monotonic": {"secs": -5, "nanosecs": 7}},
		"devices": [{"path": "/dev/x", "type": "c", "major": 1, "minor": 3, "fileMode": 438, "uid": 0}],
		"resources": {"memory": {"limit": -1, "swap": 9223372036854775807}, "cpu": {"shares": 10, "quota": -1, "cpus": "0-1"}, "pids": {"limit": 5},
			"blockIO": {"weight": 10, "weightDevice": [{"major": 8, "minor": 0, "weight": 5}], "throttleReadBpsDevice": [{"major": 8, "minor": 1, "rate": 5}]},
			"rdma": {"x": {"hcaHandles": 3}}, "unified": {"memory.high": "1"}, "devices": [{"allow": false, "access": "rwm"}]},
		"seccomp": {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "architectures": ["SCMP_ARCH_X86_64"],
			"syscalls": [{"names": ["a"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 2080505856, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}]}]},
		"maskedPaths": ["/proc/kcore"], "readonlyPaths": null, "rootfsPropagation": "rslave", "personality": {"domain": "LINUX"}}
}`

func TestDecodeAgreesWithEncodingJSON(t *testing.T) {
	var got, want specs.Spec
	if err := json.Unmarshal([]byte(richConfig), &want); err != nil {
		t.Fatal(err)
	}
	if err := Decode([]byte(richConfig), &got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		a, _ := json.MarshalIndent(got, "", " ")
		b, _ := json.MarshalIndent(want, "", " ")
		t.Errorf("got\n%s\nwant\n%s", a, b)
	}
}

func TestDecodeRefuses(t *testing.T) {
	for text, want := range map[string]string{
		`{"process": {"args": "sh"}}`:              `process.args: a []string cannot hold a JSON string`,
		`{"process": {"args": [1]}}`:               `process.args[0]: a string cannot hold 1`,
		`{"process": {"user": {"uid": -1}}}`:       `process.user.uid: a uint32 cannot hold -1`,
		`{"process": {"user": {"uid": 1.5}}}`:      `process.user.uid: a uint32 cannot hold 1.5`,
		`{"process": []}`:                          `process: a specs.Process cannot hold a JSON list`,
		`{"linux": {"sysctl": {"a": {}}}}`:         `linux.sysctl.a: a string cannot hold a JSON object`,
		`{"process": {"noNewPrivileges": "true"}}`: `process.noNewPrivileges: a bool cannot hold a JSON string`,
		`{"hostname": true}`:                       `hostname: a string cannot hold a JSON boolean`,
		`{"hostname":`:                             `unexpected EOF`,
	} {
		var s specs.Spec
		if err := Decode([]byte(text), &s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
		if json.Unmarshal([]byte(text), &s) == nil {
			t.Errorf("%s: encoding/json takes it", text)
		}
	}
}
