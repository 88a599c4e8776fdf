package tiny

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"
)

// looking is an nslookup under way: the resolver asks the server that the user sees in the answer.
type looking struct {
	*call
	resolver *net.Resolver
	host     string
}

func nslookup(c *call) int {
	kind := ""
	var rest []string
	for _, arg := range c.args {
		switch {
		case strings.HasPrefix(arg, "-type="), strings.HasPrefix(arg, "-querytype="), strings.HasPrefix(arg, "-q="):
			_, kind, _ = strings.Cut(strings.ToLower(arg), "=")
		case strings.HasPrefix(arg, "-"):
			return c.misused("invalid option '%s'", arg)
		default:
			rest = append(rest, arg)
		}
	}
	if len(rest) == 0 || len(rest) > 2 {
		return c.misused("")
	}
	server := nameserver()
	if len(rest) == 2 {
		address, err := resolve(rest[1], "ip")
		if err != nil {
			return c.fail("%v", err)
		}
		server = address.String()
	}
	at := net.JoinHostPort(server, "53")
	l := &looking{call: c, host: rest[0]}
	l.resolver = &net.Resolver{PreferGo: true, StrictErrors: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, network, at)
	}}
	c.printf("Server:\t\t%s\nAddress:\t%s\n\n", server, at)
	c.out.Flush()
	return l.ask(kind)
}

func nameserver() string {
	for line := range strings.SplitSeq(contents("/etc/resolv.conf"), "\n") {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "nameserver" {
			return f[1]
		}
	}
	return "127.0.0.1" // resolv.conf(5): without a nameserver line, the one on this machine
}

func (l *looking) ask(kind string) int {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	var text []string
	var err error
	switch kind {
	case "", "a", "aaaa":
		if net.ParseIP(l.host) != nil {
			return l.reverse(ctx)
		}
		return l.addresses(ctx, kind)
	case "ptr":
		return l.reverse(ctx)
	case "mx":
		var list []*net.MX
		list, err = l.resolver.LookupMX(ctx, l.host)
		for _, mx := range list {
			text = append(text, fmt.Sprintf("%s\tmail exchanger = %d %s", l.host, mx.Pref, strings.TrimSuffix(mx.Host, ".")))
		}
	case "txt":
		var list []string
		list, err = l.resolver.LookupTXT(ctx, l.host)
		for _, txt := range list {
			text = append(text, fmt.Sprintf("%s\ttext = %q", l.host, txt))
		}
	case "ns":
		var list []*net.NS
		list, err = l.resolver.LookupNS(ctx, l.host)
		for _, ns := range list {
			text = append(text, fmt.Sprintf("%s\tnameserver = %s", l.host, strings.TrimSuffix(ns.Host, ".")))
		}
	case "cname":
		var name string
		name, err = l.resolver.LookupCNAME(ctx, l.host)
		text = append(text, fmt.Sprintf("%s\tcanonical name = %s", l.host, strings.TrimSuffix(name, ".")))
	default:
		return l.misused("invalid query type \"%s\"", kind)
	}
	if err != nil {
		return l.failed(err)
	}
	l.print(strings.Join(text, "\n"), "\n\n")
	return 0
}

func (l *looking) addresses(ctx context.Context, kind string) int {
	network := map[string]string{"": "ip", "a": "ip4", "aaaa": "ip6"}[kind]
	list, err := l.resolver.LookupIP(ctx, network, l.host)
	if err != nil {
		return l.failed(err)
	}
	slices.SortStableFunc(list, func(a, b net.IP) int { return len(b.To4()) - len(a.To4()) })
	for _, address := range list {
		l.printf("Name:\t%s\nAddress: %s\n", l.host, address)
	}
	l.print("\n")
	return 0
}

func (l *looking) reverse(ctx context.Context) int {
	names, err := l.resolver.LookupAddr(ctx, l.host)
	if err != nil {
		return l.failed(err)
	}
	address := net.ParseIP(l.host).To4()
	label := l.host
	if address != nil {
		label = fmt.Sprintf("%d.%d.%d.%d.in-addr.arpa", address[3], address[2], address[1], address[0])
	}
	for _, name := range names {
		l.printf("%s\tname = %s\n", label, strings.TrimSuffix(name, "."))
	}
	l.print("\n")
	return 0
}

func (l *looking) failed(err error) int {
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		l.printf("** server can't find %s: NXDOMAIN\n\n", l.host)
	case errors.As(err, &dns) && dns.IsTimeout:
		l.print(";; connection timed out; no servers could be reached\n\n")
	case strings.Contains(err.Error(), "refused"):
		l.print(";; connection timed out; no servers could be reached\n\n")
	default:
		l.printf("** server can't find %s: SERVFAIL\n\n", l.host)
	}
	return 1
}
