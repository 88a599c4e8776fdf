package commands

import (
	"fmt"
	"reflect"
	"testing"

	"glassbox/test/docker"
)

const runHelp = `Usage:  docker run [OPTIONS] IMAGE [COMMAND] [ARG...]

Create and run a new container

Aliases:
  docker container run, docker run

Options:
  -d, --detach           Run in the background
      --gpus gpu-request   GPU devices ('all' to pass
                         all GPUs)
  -i, --interactive      Keep STDIN open
  -e, --env list         Set environment variables
`

const rootHelp = `Usage:  docker [OPTIONS] COMMAND

A runtime

Common Commands:
  run         Create and run
  swarm*      Manage Swarm

Global Options:
  -H, --host string   Daemon socket
`

func usages() []*Usage {
	return []*Usage{parseUsage("", rootHelp), parseUsage("run", runHelp), {Spellings: []string{"image rm", "rmi"}}}
}

func TestParseUsage(t *testing.T) {
	root, run := usages()[0], usages()[1]
	if fmt.Sprint(root.below) != "[run swarm]" || root.Flags[0] != (Flag{Name: "host", Letter: "H", Value: "string"}) {
		t.Errorf("%+v", root)
	}
	want := []Flag{{Name: "detach", Letter: "d"}, {Name: "gpus", Value: "gpu-request"}, {Name: "interactive", Letter: "i"}, {Name: "env", Letter: "e", Value: "list"}}
	if run.Name() != "container run" || run.Short != "Create and run a new container" || !reflect.DeepEqual(run.Flags, want) {
		t.Errorf("%+v", run)
	}
}

func TestInvocations(t *testing.T) {
	for command, want := range map[string]string{
		`docker run -di -e A=1 --gpus=all bb sh -c -i`:             "run [detach interactive env gpus]",
		`docker run -eA=1 -de B=2 bb -d`:                           "run [env detach env]",
		`docker container run -- -d`:                               "container run []",
		`docker -H x run --env "$(docker run -i bb)" bb`:           " [host] run [env] run [interactive]",
		`for i in 1 2; do docker image rm $i & done | docker rmi`:  "image rm [] rmi []",
		`sleep 1; timeout 3 docker run -e 'a b' bb | grep docker`:  "run [env]",
		`docker nonsense; echo "docker run"; docker run --unknown`: "run []",
	} {
		all, err := Invocations(command, usages())
		text := ""
		for _, i := range all {
			text += fmt.Sprint(i.Spelling, " ", i.Flags, " ")
		}
		if err != nil || text != want+" " {
			t.Errorf("%s: %q, %v", command, text, err)
		}
	}
}

func TestProve(t *testing.T) {
	s, err := docker.Parse("one.txtar", []byte(`
$ docker run -d bb
$ docker run -d --gpus all bb
! No drivers.
2> docker: --gpus: none here
= 125
$ docker run -i bb
! Another word.
2> word
$ docker run -d bb nosuch
! A better reason.
2> reason
`))
	if err != nil {
		t.Fatal(err)
	}
	p, err := Prove([]*docker.Session{s}, usages())
	if err != nil {
		t.Fatal(err)
	}
	for flag, want := range map[string]string{"detach": same, "gpus": refused, "interactive": differs, "env": unshown, "": partly} {
		if have := p.of(Subject{Command: "container run", Flag: flag}).state(); have != want {
			t.Errorf("--%s is %q, not %q", flag, have, want)
		}
	}
	if notes := p.of(Subject{Command: "container run", Flag: "gpus"}).notes(); notes != "`--gpus: none here` No drivers. (one)" {
		t.Error(notes)
	}
	if m := Missing(usages()[1:2], nil, p); fmt.Sprint(m) != "[docker container run docker container run --env]" {
		t.Error(m)
	}
}
