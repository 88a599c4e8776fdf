package dockerfile

import (
	"strings"
	"testing"

	"glassbox/engine"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
)

// FuzzDockerfile reads a Dockerfile, arranges its stages, and carries out what needs no files: whatever it says ends with an error or a plan that
// can be carried out.
func FuzzDockerfile(f *testing.F) {
	for _, text := range []string{
		"FROM a\nRUN b\n", "ARG A=b\nFROM $A AS one\nFROM one\nCOPY --from=0 / /\nCOPY --from=one --chown=a:b --chmod=755 x y\n",
		"FROM a\nRUN <<X bash\n#!/bin/sh\necho\nX\nCOPY <<A <<\"B\" /x/\na\nA\nb\nB\n", "# escape=`\nFROM a\nENV A=1 `\n  B=2\n", "FROM a\nENV A=${B:-${C:+d}} D=${A%%x*} E=${A//a/b}\nLABEL \"$A\"=b\n",
		"FROM a\nHEALTHCHECK --interval=1s --retries=3 CMD a\nONBUILD RUN --mount=type=cache,target=/x y\nSHELL [\"a\"]\nCMD b\nENTRYPOINT [\"c\", \"d\"]\n",
		"FROM a\nRUN --mount=type=bind,from=b,target=/x --mount=type=secret,id=s --network=none --security=insecure true\nADD --checksum=sha256:00 http://x /y\n",
		"FROM a\nEXPOSE 1-3/udp $P\nVOLUME [\"/a\", \"b\"]\nWORKDIR ../x\nUSER a:b\nSTOPSIGNAL 9\nMAINTAINER m\nARG A B=c\n", "FROM --platform=$BUILDPLATFORM a AS b\nFROM b AS B\n",
		"FROM a\nCOPY --from=1 / /\nFROM b\n", "FROM a AS b\nCOPY --from=b / /\n", "FROM a\nCOPY b\n", "FROM a\nCOPY --bogus b c\n", "FROM a\nRUN --mount=type=x y\n", "FROM a\nRUN <<\n", "FROM a\nRUN <<X\n", "FROM a\nCOPY <<X<<Y z\nX\nY\n", "\xef\xbb\xbfFROM a\r\nRUN b\\\r\n\r\n c",
		"# syntax=docker/dockerfile:1\n# check=skip=all\nFROM scratch\n", "FROM a\nENV A=" + strings.Repeat("${A:-", 50) + strings.Repeat("}", 50) + "\n",
	} {
		f.Add([]byte(text), "", "A=b")
		f.Add([]byte(text), "one", "A")
	}
	f.Fuzz(func(t *testing.T, text []byte, target, arg string) {
		file, err := parse("Dockerfile", text)
		if err != nil {
			return
		}
		name, value, given := strings.Cut(arg, "=")
		b := &build{Options: Options{Target: target, Args: map[string]*string{name: nil}, Labels: map[string]string{"l": arg}}, file: file}
		if given {
			b.Args[name] = &value
		}
		if b.arrange() != nil {
			return
		}
		steps := len(file.args)
		for i, s := range b.stages {
			if s.base != nil && s.base.number >= i {
				t.Fatalf("stage %d is made from stage %d", i, s.base.number)
			}
			if !s.needed {
				continue
			}
			if s.first != steps+1 {
				t.Fatalf("stage %d begins with step %d, after %d steps", i, s.first, steps)
			}
			steps += 1 + len(s.Commands)
			s.edit = engine.NewEdit(nil, s.lex)
			for _, c := range s.Commands {
				if !unbuilt(t, s, c) {
					break
				}
			}
		}
		if steps != b.steps {
			t.Fatalf("%d steps are numbered, %d are counted", steps, b.steps)
		}
	})
}

// unbuilt carries out an instruction as far as that goes without files.
func unbuilt(t *testing.T, s *stage, c instructions.Command) bool {
	for _, name := range sourcesOf(c) {
		if o, err := s.stageFor(name); err == nil && o != nil && (o.number >= s.number || !o.needed) {
			t.Fatalf("%s: stage %d takes files of stage %d, needed: %v", c, s.number, o.number, o.needed)
		}
	}
	args := s.args.inForce(s.edit.Env)
	switch c := c.(type) {
	case *instructions.RunCommand, *instructions.CopyCommand, *instructions.AddCommand, *instructions.ArgCommand:
		if s.expand(c, args) != nil {
			return false
		}
		if a, ok := c.(*instructions.ArgCommand); ok {
			s.args.declare(a)
		}
		return true
	case *instructions.WorkdirCommand, *instructions.MaintainerCommand:
		return true
	case *instructions.OnbuildCommand:
		read, err := s.file.trigger(c.Expression)
		if err == nil && read == nil {
			t.Fatalf("ONBUILD %s is read as nothing", c.Expression)
		}
	}
	_, err := s.edit.Apply(c, args)
	return err == nil
}
