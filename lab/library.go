package lab

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"glassbox/labs"
)

// Library is the lessons that can be played: the built-in ones, and those of a directory beside them or, where they have the same name, in
// their place.
type Library struct {
	Lessons []*Lesson // in their order; the first is number 1
	Broken  []Problem // lessons that cannot be played
}

// OpenLibrary reads the lessons. dir may be empty.
func OpenLibrary(dir string) (*Library, error) {
	lib := &Library{}
	if err := lib.read(labs.Files, "."); err != nil {
		return nil, err
	}
	if dir != "" {
		builtin := lib.Lessons
		lib.Lessons = nil
		if err := lib.read(os.DirFS(dir), dir); err != nil {
			return nil, fmt.Errorf("reading the lessons of %s: %w", dir, err)
		}
		for _, l := range builtin {
			if lib.byName(l.ID) == nil {
				lib.Lessons = append(lib.Lessons, l)
			}
		}
	}
	slices.SortStableFunc(lib.Lessons, func(a, b *Lesson) int { return cmp.Or(cmp.Compare(a.Order, b.Order), cmp.Compare(a.ID, b.ID)) })
	return lib, nil
}

func (lib *Library) read(from fs.FS, dir string) error {
	entries, err := fs.ReadDir(from, ".")
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), lessonsSuffix) {
			continue
		}
		path := filepath.Join(dir, e.Name())
		data, err := readBounded(from, e.Name(), mostBytes)
		if err != nil {
			lib.Broken = append(lib.Broken, Problem{File: path, Text: err.Error()})
			continue
		}
		l, problems := Parse(path, data)
		if len(problems) > 0 {
			lib.Broken = append(lib.Broken, problems...)
			continue
		}
		l.Foreign = dir != "."
		lib.Lessons = append(lib.Lessons, l)
	}
	return nil
}

// readBounded reads a regular file, and one byte more than the most, so that it can be refused.
func readBounded(from fs.FS, name string, most int64) ([]byte, error) {
	f, err := from.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, errors.New("it is not a regular file"))
	}
	return io.ReadAll(io.LimitReader(f, most+1))
}

// ReadLesson is a file's content for Lint.
func ReadLesson(path string) ([]byte, error) {
	return readBounded(os.DirFS(filepath.Dir(path)), filepath.Base(path), mostBytes)
}

func (lib *Library) byName(id string) *Lesson {
	for _, l := range lib.Lessons {
		if l.ID == id {
			return l
		}
	}
	return nil
}

// Find is the lesson of that name or number.
func (lib *Library) Find(ref string) (*Lesson, error) {
	if l := lib.byName(ref); l != nil {
		return l, nil
	}
	if n, err := strconv.Atoi(ref); err == nil && n >= 1 && n <= len(lib.Lessons) {
		return lib.Lessons[n-1], nil
	}
	if broken := lib.brokenOf(ref); len(broken) > 0 {
		return nil, Invalid(broken)
	}
	return nil, fmt.Errorf("no such lesson: %s (glassbox lab list names them)", ref)
}

func (lib *Library) brokenOf(id string) (problems []Problem) {
	for _, p := range lib.Broken {
		if filepath.Base(p.File) == id+lessonsSuffix {
			problems = append(problems, p)
		}
	}
	return problems
}

// prelude is what every script of a lesson begins with.
func prelude() string {
	text, err := labs.Files.ReadFile("prelude.sh")
	if err != nil {
		panic(err) // it is embedded
	}
	return string(text)
}

// builtin is the built-in lesson of that name, also where a directory has another in its place.
func builtin(id string) (*Lesson, error) {
	lib, err := OpenLibrary("")
	if err != nil {
		return nil, err
	}
	return lib.Find(id)
}
