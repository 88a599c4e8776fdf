package shell

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"
)

// Test is the builtin and applet of that name: 0 true, 1 false, 2 nonsense.
func Test(name string, args []string, stderr io.Writer) int {
	if name == "[" {
		if len(args) == 0 || args[len(args)-1] != "]" {
			fmt.Fprintln(stderr, "[: missing ]")
			return 2
		}
		args = args[:len(args)-1]
	}
	p := &expression{words: args}
	if len(args) == 0 {
		return 1
	}
	ok := p.whole()
	if p.err == nil && len(p.words) > 0 {
		p.err = errors.New(p.words[0] + ": unknown operand")
	}
	if p.err != nil {
		fmt.Fprintf(stderr, "sh: %v\n", p.err)
		return 2
	}
	return oneIf(!ok)
}

// expression parses by the number of words where POSIX says so, by precedence beyond.
type expression struct {
	words []string
	err   error
}

func (p *expression) whole() bool {
	switch len(p.words) {
	case 1:
		return p.pop() != ""
	case 2:
		if p.words[0] == "!" {
			p.pop()
			return p.pop() == ""
		}
	case 3:
		if binary(p.words[1]) {
			return p.three()
		}
	case 4:
		if p.words[0] == "!" && binary(p.words[2]) {
			p.pop()
			return !p.three()
		}
	}
	return p.or()
}

func (p *expression) pop() string {
	if len(p.words) == 0 {
		if p.err == nil {
			p.err = errors.New("argument expected")
		}
		return ""
	}
	word := p.words[0]
	p.words = p.words[1:]
	return word
}

func (p *expression) three() bool {
	left, op, right := p.pop(), p.pop(), p.pop()
	ok, err := compare(op, left, right)
	if err != nil && p.err == nil {
		p.err = err
	}
	return ok
}

func (p *expression) next(word string) bool {
	if len(p.words) > 0 && p.words[0] == word {
		p.words = p.words[1:]
		return true
	}
	return false
}

func (p *expression) or() bool {
	ok := p.and()
	for p.err == nil && p.next("-o") {
		right := p.and()
		ok = ok || right
	}
	return ok
}

func (p *expression) and() bool {
	ok := p.primary()
	for p.err == nil && p.next("-a") {
		right := p.primary()
		ok = ok && right
	}
	return ok
}

func (p *expression) primary() bool {
	switch {
	case p.next("!"):
		return !p.primary()
	case len(p.words) >= 3 && binary(p.words[1]):
		return p.three()
	case p.next("("):
		ok := p.or()
		if !p.next(")") && p.err == nil {
			p.err = errors.New("closing paren expected")
		}
		return ok
	case len(p.words) >= 2 && len(p.words[0]) == 2 && p.words[0][0] == '-' && strings.Contains(unaries, p.words[0][1:]):
		op := p.pop()
		ok, err := inquire(op, p.pop())
		if err != nil && p.err == nil {
			p.err = err
		}
		return ok
	}
	return p.pop() != ""
}

const unaries = "bcdefgGhkLnNOprsStuwxz"

func binary(op string) bool {
	switch op {
	case "=", "==", "!=", "<", ">", "-eq", "-ne", "-lt", "-le", "-gt", "-ge", "-nt", "-ot", "-ef":
		return true
	}
	return false
}

func compare(op, left, right string) (bool, error) {
	switch op {
	case "=", "==":
		return left == right, nil
	case "!=":
		return left != right, nil
	case "<":
		return left < right, nil
	case ">":
		return left > right, nil
	case "-nt", "-ot", "-ef":
		return compareFiles(op, left, right), nil
	}
	a, err := integer(left)
	if err != nil {
		return false, err
	}
	b, err := integer(right)
	if err != nil {
		return false, err
	}
	switch op {
	case "-eq":
		return a == b, nil
	case "-ne":
		return a != b, nil
	case "-lt":
		return a < b, nil
	case "-le":
		return a <= b, nil
	case "-gt":
		return a > b, nil
	case "-ge":
		return a >= b, nil
	}
	return false, errors.New(op + ": unknown operand")
}

func integer(word string) (int64, error) {
	n, err := strconv.ParseInt(strings.TrimSpace(word), 10, 64)
	if err != nil {
		return 0, errors.New(word + ": bad number")
	}
	return n, nil
}

func compareFiles(op, left, right string) bool {
	a, errA := os.Stat(left)
	b, errB := os.Stat(right)
	switch op {
	case "-ef":
		return errA == nil && errB == nil && os.SameFile(a, b)
	case "-ot":
		a, b, errA, errB = b, a, errB, errA
	}
	return errA == nil && errB == nil && a.ModTime().After(b.ModTime())
}

// inquire answers a unary test.
func inquire(op, word string) (bool, error) {
	switch op {
	case "-n":
		return word != "", nil
	case "-z":
		return word == "", nil
	case "-t":
		fd, err := strconv.Atoi(word)
		return err == nil && isTerminal(fd), nil
	case "-r":
		return unix.Faccessat(unix.AT_FDCWD, word, unix.R_OK, unix.AT_EACCESS) == nil, nil
	case "-w":
		return unix.Faccessat(unix.AT_FDCWD, word, unix.W_OK, unix.AT_EACCESS) == nil, nil
	case "-x":
		return unix.Faccessat(unix.AT_FDCWD, word, unix.X_OK, unix.AT_EACCESS) == nil, nil
	}
	var st unix.Stat_t
	look := unix.Stat
	if op == "-L" || op == "-h" {
		look = unix.Lstat
	}
	if look(word, &st) != nil {
		return false, nil
	}
	kind := st.Mode & unix.S_IFMT
	switch op {
	case "-e":
		return true, nil
	case "-f":
		return kind == unix.S_IFREG, nil
	case "-d":
		return kind == unix.S_IFDIR, nil
	case "-b":
		return kind == unix.S_IFBLK, nil
	case "-c":
		return kind == unix.S_IFCHR, nil
	case "-p":
		return kind == unix.S_IFIFO, nil
	case "-S":
		return kind == unix.S_IFSOCK, nil
	case "-L", "-h":
		return kind == unix.S_IFLNK, nil
	case "-s":
		return st.Size > 0, nil
	case "-u":
		return st.Mode&unix.S_ISUID != 0, nil
	case "-g":
		return st.Mode&unix.S_ISGID != 0, nil
	case "-k":
		return st.Mode&unix.S_ISVTX != 0, nil
	case "-O":
		return int(st.Uid) == os.Geteuid(), nil
	case "-G":
		return int(st.Gid) == os.Getegid(), nil
	case "-N":
		return st.Mtim.Nano() > st.Atim.Nano(), nil
	}
	return false, errors.New(op + ": unknown operand")
}

// test is [[ ]].
func (s *Shell) test(x syntax.TestExpr) (bool, error) {
	switch x := x.(type) {
	case *syntax.Word:
		word, err := expand.Literal(s.config, x)
		return word != "", err
	case *syntax.ParenTest:
		return s.test(x.X)
	case *syntax.UnaryTest:
		if x.Op == syntax.TsNot {
			ok, err := s.test(x.X)
			return !ok, err
		}
		word, err := expand.Literal(s.config, x.X.(*syntax.Word))
		if err != nil {
			return false, err
		}
		if x.Op == syntax.TsVarSet {
			return s.vars[word].Set, nil
		}
		return inquire(x.Op.String(), word)
	case *syntax.BinaryTest:
		return s.testBinary(x)
	}
	return false, errors.New("[[: unknown operand")
}

func (s *Shell) testBinary(x *syntax.BinaryTest) (bool, error) {
	if x.Op == syntax.AndTest || x.Op == syntax.OrTest {
		ok, err := s.test(x.X)
		if err != nil || ok == (x.Op == syntax.OrTest) {
			return ok, err
		}
		return s.test(x.Y)
	}
	left, err := expand.Literal(s.config, x.X.(*syntax.Word))
	if err != nil {
		return false, err
	}
	right := x.Y.(*syntax.Word)
	switch x.Op {
	case syntax.TsMatchShort, syntax.TsMatch, syntax.TsNoMatch:
		pat, err := expand.Pattern(s.config, right)
		return matches(pat, left) == (x.Op != syntax.TsNoMatch), err
	}
	word, err := expand.Literal(s.config, right)
	if err != nil {
		return false, err
	}
	if x.Op == syntax.TsReMatch {
		re, err := regexp.Compile(word)
		return err == nil && re.MatchString(left), err
	}
	return compare(x.Op.String(), left, word)
}
