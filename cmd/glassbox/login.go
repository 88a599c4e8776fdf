package main

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"glassbox/image"

	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/config/configfile"
	"github.com/docker/cli/cli/config/credentials"
	"github.com/docker/cli/cli/config/types"
	"github.com/moby/term"
)

// loginFlags are those of login.
type loginFlags struct {
	user, password string
	stdin          bool
}

func loginVerb() verb {
	return verb{
		use: "login [OPTIONS] [SERVER]", short: "Authenticate to a registry",
		long: "Authenticate to a registry.\nDefaults to Docker Hub if no server is specified.", max: 1, group: common,
		prepare: func(c *call) action {
			var f loginFlags
			c.flags.StringVarP(&f.user, "username", "u", "", "Username")
			c.flags.StringVarP(&f.password, "password", "p", "", "Password or Personal Access Token (PAT)")
			c.flags.BoolVar(&f.stdin, "password-stdin", false, "Take the Password or Personal Access Token (PAT) from stdin")
			return func(ctx context.Context, args []string) error {
				if err := c.checkLogin(f); err != nil {
					return err
				}
				return c.login(ctx, append(args, "")[0], f)
			}
		},
	}
}

func (c *call) checkLogin(f loginFlags) error {
	switch given := c.flags.Changed; {
	case given("password-stdin") && given("password"):
		return plainFailure("conflicting options: cannot specify both --password and --password-stdin")
	case given("password-stdin") && !given("username"):
		return plainFailure("the --password-stdin option requires --username to be set")
	case given("username") && f.user == "":
		return plainFailure("username is empty")
	case given("password") && f.password == "":
		return plainFailure("password is empty")
	}
	return nil
}

// hubServer is the name under which credentials for Docker Hub are kept.
const hubServer = "https://index.docker.io/v1/"

func (c *call) login(ctx context.Context, server string, f loginFlags) error {
	if f.password != "" {
		fmt.Fprintln(c.stderr, "WARNING! Using --password via the CLI is insecure. Use --password-stdin.")
	}
	if f.stdin {
		text, err := io.ReadAll(io.LimitReader(c.stdin, 1<<20))
		if err != nil {
			return plainFailure("%w", err)
		}
		f.password = strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
	}
	c.tellEnvironment()
	if server == "" || server == "docker.io" {
		server = hubServer
	} else if server != hubServer {
		server = credentials.ConvertToHostname(server)
	}
	var known types.AuthConfig
	if f.user == "" && f.password == "" {
		file, err := c.credentialsFile()
		if err != nil {
			return err
		}
		if known, err = file.GetAuthConfig(server); err == nil && known.Username != "" && known.Password != "" {
			known.ServerAddress = server
			if err := c.loginStored(ctx, known); err == nil || ctx.Err() != nil {
				return err
			}
		}
	}
	auth, err := c.askCredentials(ctx, server, f, known.Username)
	if err != nil {
		return err
	}
	return c.loginWith(ctx, auth)
}

// tellEnvironment warns of credentials that come from elsewhere than the file.
func (c *call) tellEnvironment() {
	if os.Getenv(configfile.DockerEnvConfigKey) != "" {
		c.caution(c.stderr, strings.ReplaceAll("%s is set and takes precedence.\nUnset %s to restore the CLI auth behaviour.\n", "%s", configfile.DockerEnvConfigKey))
	}
}

// loginStored tries what an earlier login has left. A failure is told, and cured by asking.
func (c *call) loginStored(ctx context.Context, auth types.AuthConfig) error {
	fmt.Fprintf(c.stderr, "Authenticating with existing credentials... [Username: %s]\n", auth.Username)
	c.note(c.stderr, "To login with a different account, run 'docker logout' followed by 'docker login'")
	fmt.Fprint(c.stderr, "\n\n")
	err := c.loginWith(ctx, auth)
	switch {
	case image.IsUnauthorized(err):
		fmt.Fprintln(c.stderr, "Stored credentials invalid or expired")
	case err != nil && ctx.Err() == nil:
		fmt.Fprintf(c.stderr, "Login did not succeed, error: %s\n", engineFailure(err).(*failure).docker)
	}
	return err
}

// loginWith shows the registry who we are, and keeps what it was shown, or the token that it gave instead.
func (c *call) loginWith(ctx context.Context, auth types.AuthConfig) error {
	b, err := c.backend()
	if err != nil {
		return err
	}
	token, err := b.images.Login(ctx, auth)
	if err != nil {
		return waitFailure(ctx, err)
	}
	if token != "" {
		auth.Password, auth.IdentityToken = "", token
	}
	file, err := c.credentialsFile()
	if err != nil {
		return err
	}
	if err := keepOthers(file, func() error { return file.GetCredentialsStore(auth.ServerAddress).Store(auth) }); err != nil {
		return plainFailure("Error saving credentials: %w", err)
	}
	fmt.Fprintln(c.stdout, "Login Succeeded")
	return nil
}

// credentialsFile is Docker's configuration file, for writing: one that cannot be read must not be replaced by one that holds
// nothing but a password.
func (c *call) credentialsFile() (*configfile.ConfigFile, error) {
	file, err := config.Load(config.Dir())
	if err != nil {
		return nil, plainFailure("%w", err)
	}
	if !file.ContainsAuth() {
		file.CredentialsStore = credentials.DetectDefaultStore(file.CredentialsStore)
	}
	return file, nil
}

const (
	signUp = "Log in with your Docker ID or email address to push and pull images from Docker Hub. " +
		"If you don't have a Docker ID, head over to https://hub.docker.com/ to create one."
	tokensToo = "You can log in with your password or a Personal Access " +
		"Token (PAT). Using a limited-scope PAT grants better security and is required " +
		"for organizations using SSO. Learn more at https://docs.docker.com/go/access-tokens/"
)

// askCredentials asks at the terminal for what the flags do not say.
func (c *call) askCredentials(ctx context.Context, server string, f loginFlags, usual string) (types.AuthConfig, error) {
	auth := types.AuthConfig{ServerAddress: server, Username: strings.TrimSpace(f.user), Password: strings.TrimSpace(f.password)}
	if (auth.Username == "" || auth.Password == "") && !isTerminal(c.stdin) {
		return auth, plainFailure("Error: Cannot perform an interactive login from a non TTY device")
	}
	lines := bufio.NewReader(c.stdin)
	if auth.Username == "" {
		if server == hubServer {
			fmt.Fprintf(c.stdout, "%s\n%s\n\n", signUp, tokensToo)
		}
		question := "Username: "
		if usual != "" {
			question = fmt.Sprintf("Username (%s): ", usual)
		}
		said, err := c.ask(ctx, lines, question)
		if err != nil {
			return auth, err
		}
		if auth.Username = cmp.Or(said, usual); auth.Username == "" {
			return auth, plainFailure("Error: Non-null Username Required")
		}
	}
	if auth.Password == "" {
		if server == hubServer {
			c.note(c.stderr, "A Personal Access Token (PAT) can be used instead.\nTo create a PAT, visit https://app.docker.com/settings\n\n")
		}
		said, err := c.askHidden(ctx, lines, "Password: ")
		if err != nil {
			return auth, err
		}
		fmt.Fprintln(c.stdout)
		if auth.Password = said; said == "" {
			return auth, plainFailure("Error: Password Required")
		}
	}
	return auth, nil
}

// ask reads a line.
func (c *call) ask(ctx context.Context, from *bufio.Reader, question string) (string, error) {
	fmt.Fprint(c.stdout, question)
	said := make(chan string, 1)
	go func() {
		line, _ := from.ReadString('\n')
		said <- strings.TrimSpace(line)
	}()
	select {
	case <-ctx.Done():
		fmt.Fprintln(c.stdout)
		return "", ctx.Err()
	case line := <-said:
		return line, nil
	}
}

// askHidden is ask without the terminal showing what is typed.
func (c *call) askHidden(ctx context.Context, from *bufio.Reader, question string) (string, error) {
	fd, _ := term.GetFdInfo(c.stdin)
	before, err := term.SaveState(fd)
	if err == nil {
		err = term.DisableEcho(fd, before)
	}
	if err != nil {
		return "", plainFailure("%w", err)
	}
	defer term.RestoreTerminal(fd, before)
	return c.ask(ctx, from, question)
}
