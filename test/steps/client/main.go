// Command client asks the agent of SSH_AUTH_SOCK for its keys, has it sign, and tries to change it; a test runs it as a RUN.
package main

import (
	"crypto/rand"
	"fmt"
	"net"
	"os"

	"golang.org/x/crypto/ssh/agent"
)

func main() {
	if err := run(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func run() error {
	c, err := net.Dial("unix", os.Getenv("SSH_AUTH_SOCK"))
	if err != nil {
		return err
	}
	defer c.Close()
	a := agent.NewClient(c)
	keys, err := a.List()
	if err != nil {
		return err
	}
	for _, k := range keys {
		text := make([]byte, 32)
		rand.Read(text)
		s, err := a.Sign(k, text)
		if err != nil {
			return err
		}
		fmt.Println("signed with", k.Type(), k.Verify(text, s) == nil)
	}
	if err := a.RemoveAll(); err == nil {
		return fmt.Errorf("the keys could be removed")
	}
	return nil
}
