package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// forEach does the same to each container named, at most 50 at once as Docker's client does, prints the names that
// succeeded in the order given and joins the errors of the others.
func (c *call) forEach(names []string, do func(name string) error) error {
	errs := make([]error, len(names))
	slots := make(chan struct{}, 50)
	var all sync.WaitGroup
	for i, name := range names {
		all.Add(1)
		go func() {
			defer all.Done()
			slots <- struct{}{}
			errs[i] = engineFailure(do(name))
			<-slots
		}()
	}
	all.Wait()
	for i, name := range names {
		if errs[i] == nil {
			fmt.Fprintln(c.stdout, name)
		}
	}
	return errors.Join(errs...)
}

// eachContainer is a verb that takes containers and does one thing to each.
func eachContainer(v verb, do func(b *backend, name string) error) verb {
	v.min, v.max, v.group, v.offers = 1, -1, commands, offerContainers
	v.prepare = func(c *call) action {
		return func(ctx context.Context, args []string) error {
			b, err := c.backend()
			if err != nil {
				return err
			}
			return c.forEach(args, func(name string) error { return do(b, name) })
		}
	}
	return v
}
