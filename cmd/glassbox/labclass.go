package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"glassbox/lab"
)

func labReportVerb() verb {
	return verb{
		use: "report [OPTIONS] [FILE|-]", short: "Write what was done to a file, for the instructor", max: 1,
		prepare: func(c *call) action {
			l := c.lessons()
			student := c.flags.String("student", "", "Who did it (default: the user, and the machine)")
			return func(ctx context.Context, args []string) error { return l.report(*student, strings.Join(args, "")) }
		},
	}
}

// studentName is who did it where nobody says: the user behind sudo(8), at this machine.
func studentName() string {
	host, _ := os.Hostname()
	return cmp.Or(os.Getenv("SUDO_USER"), os.Getenv("USER"), "somebody") + "@" + host
}

func (c labCall) report(student, file string) error {
	d, err := c.desk()
	if err != nil {
		return err
	}
	r, err := d.Report(cmp.Or(student, studentName()))
	if err != nil {
		return plainFailure("%w", err)
	}
	if file == "-" {
		return r.Write(c.stdout)
	}
	file = cmp.Or(file, "glassbox-labs.json")
	var b bytes.Buffer
	if err := r.Write(&b); err != nil {
		return err
	}
	if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
		return plainFailure("%w", err)
	}
	return c.draw(func(s lab.Screens) { s.Reported(r, file) })
}

func labGradeVerb() verb {
	return verb{
		use: "grade [OPTIONS] DIR", short: "Make a class's table, CSV, of the reports in a directory", min: 1, max: 1,
		prepare: func(c *call) action {
			l := c.lessonsFrom()
			output := c.flags.StringP("output", "o", "", "Write to this file instead of the standard output")
			return func(ctx context.Context, args []string) error { return l.grade(args[0], *output) }
		},
	}
}

// grade writes the table; what it counted is said beside it, so that a pipe carries CSV alone.
func (c labCall) grade(dir, output string) error {
	library, err := c.library()
	if err != nil {
		return plainFailure("%w", err)
	}
	var table bytes.Buffer
	reports, flagged, err := lab.Grade(library, dir, &table)
	if err == nil && output != "" {
		err = os.WriteFile(output, table.Bytes(), 0o644)
	} else if err == nil {
		_, err = io.Copy(c.stdout, &table)
	}
	if err != nil {
		return plainFailure("%w", err)
	}
	if reports == 0 {
		fmt.Fprintf(c.stderr, "%s: there is no report in %s: the files that lab report writes are called NAME.json\n", c.name, dir)
		return nil
	}
	fmt.Fprintf(c.stderr, "%s: %d reports, %d of them with flags (last column)\n", c.name, reports, flagged)
	return nil
}

func labLintVerb() verb {
	return verb{
		use: "lint FILE [FILE...]", short: "Name what is wrong with lessons", min: 1, max: -1,
		prepare: func(c *call) action {
			return func(ctx context.Context, args []string) error { return c.lint(args) }
		},
	}
}

// lint prints a line for each thing that is wrong.
func (c *call) lint(files []string) error {
	var lessons []*lab.Lesson
	var problems []lab.Problem
	for _, file := range files {
		data, err := lab.ReadLesson(file)
		if err != nil {
			problems = append(problems, lab.Problem{File: file, Text: err.Error()})
			continue
		}
		l, wrong := lab.Lint(file, data)
		lessons, problems = append(lessons, l), append(problems, wrong...)
	}
	problems = append(problems, lab.LintOrders(lessons)...)
	for _, p := range problems {
		put(c.stdout, "%s\n", p)
	}
	if len(problems) > 0 {
		return exitStatus(1)
	}
	put(c.stdout, "nothing is wrong with %d of %d lessons\n", len(lessons), len(files))
	return nil
}
