package tiny

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"glassbox/tiny/signals"
)

func networkApplets() []applet {
	return []applet{
		{"httpd", httpd, "[-fv] [-p [IP:]PORT] [-h DIRECTORY]"},
		{"ip", ip, "[-4|-6] [-br] addr|link|route|neigh [COMMAND]"},
		{"nc", nc, "[-luvznk46] [-p PORT] [-w SEC] [-s ADDR] [HOST] [PORT] [-e PROG ARGS]"},
		{"nslookup", nslookup, "[-type=TYPE] HOST [SERVER]"},
		{"ping", ping, "[-46nq] [-c COUNT] [-i SEC] [-W SEC] [-w SEC] [-s SIZE] [-t TTL] [-I IFACE] HOST"},
		{"wget", wget, "[-cqS] [-O FILE] [-P DIR] [-T SEC] [-t TRIES] [-U AGENT] [--spider] [--no-check-certificate] [--header H] [--post-data D] URL..."},
	}
}

// resolve gives a name's first address, asking what the container's /etc/hosts and /etc/resolv.conf say.
func resolve(name, network string) (net.IP, error) {
	if address := net.ParseIP(name); address != nil {
		return address, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	list, err := (&net.Resolver{PreferGo: true}).LookupIP(ctx, network, name)
	if err != nil || len(list) == 0 {
		return nil, errors.New("bad address '" + name + "'")
	}
	for _, address := range list {
		if address.To4() != nil {
			return address, nil
		}
	}
	return list[0], nil
}

func netReason(err error) string {
	var timeout interface{ Timeout() bool }
	if errors.As(err, &timeout) && timeout.Timeout() {
		return "Connection timed out"
	}
	return reason(err)
}

// ping

type pinging struct {
	*call
	fd             int
	to             net.IP
	name           string
	v6, raw        bool
	ident          uint16
	size           int
	sent, received int
	low, high, sum time.Duration
	seen           map[uint16]bool
	quiet          bool
}

func ping(c *call) int {
	// -n asks for what is done anyway: addresses are not turned into names.
	o, ok := c.options("46nqc:i:W:w:s:I:t:", "count=c", "ttl=t")
	if !ok {
		return 1
	}
	if len(o.rest) != 1 {
		return c.misused("")
	}
	network := "ip"
	if o.has('4') {
		network = "ip4"
	} else if o.has('6') {
		network = "ip6"
	}
	to, err := resolve(o.rest[0], network)
	if err != nil {
		return c.fail("%v", err)
	}
	p := &pinging{call: c, to: to, name: o.rest[0], v6: to.To4() == nil, size: int(o.number('s', 56)), ident: uint16(os.Getpid()), seen: map[uint16]bool{}, quiet: o.has('q')}
	pause, ok1 := duration(o.value('i', "1"))
	patience, ok2 := duration(o.value('W', "10"))
	limit, ok3 := duration(o.value('w', "0"))
	count, ttl := o.number('c', 0), o.number('t', 0)
	if !ok1 || !ok2 || !ok3 || o.failed || p.size < 0 || p.size > 65000 || ttl < 0 || ttl > 255 {
		return c.misused("invalid number")
	}
	if err := p.open(o.value('I', ""), int(ttl)); err != nil {
		return c.fail("%v", err)
	}
	c.printf("PING %s (%s): %d data bytes\n", p.name, p.to, p.size)
	c.out.Flush()
	p.run(int(count), pause, patience, limit)
	return p.summary()
}

// open takes an unprivileged ICMP socket where net.ipv4.ping_group_range lets it, a raw one otherwise (icmp(7)).
func (p *pinging) open(device string, ttl int) error {
	family, proto := unix.AF_INET, unix.IPPROTO_ICMP
	if p.v6 {
		family, proto = unix.AF_INET6, unix.IPPROTO_ICMPV6
	}
	var err error
	if p.fd, err = unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, proto); err != nil {
		p.raw = true
		p.fd, err = unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC, proto)
	}
	if err == unix.EPERM || err == unix.EACCES {
		return errors.New("permission denied (are you root? a raw socket needs CAP_NET_RAW, a datagram one a group in net.ipv4.ping_group_range)")
	}
	if err != nil {
		return errors.New("can't create socket: " + reason(err))
	}
	if device != "" {
		if err := unix.SetsockoptString(p.fd, unix.SOL_SOCKET, unix.SO_BINDTODEVICE, device); err != nil {
			return errors.New("can't bind to interface " + device + ": " + reason(err))
		}
	}
	if ttl > 0 {
		level, option := unix.IPPROTO_IP, unix.IP_TTL
		if p.v6 {
			level, option = unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS
		}
		if err := unix.SetsockoptInt(p.fd, level, option, ttl); err != nil {
			return errors.New("can't set the time to live: " + reason(err))
		}
	}
	if !p.v6 {
		unix.SetsockoptInt(p.fd, unix.IPPROTO_IP, unix.IP_RECVTTL, 1)
	} else {
		unix.SetsockoptInt(p.fd, unix.IPPROTO_IPV6, unix.IPV6_RECVHOPLIMIT, 1)
	}
	return nil
}

func (p *pinging) run(count int, pause, patience, limit time.Duration) {
	stop := make(chan os.Signal, 1)
	signals.Catch(stop, unix.SIGINT)
	replies := make(chan struct{}, 1)
	go p.receive(replies)
	start := time.Now()
	next := time.NewTimer(0)
	for {
		select {
		case <-stop:
			return
		case <-next.C:
			if limit > 0 && time.Since(start) >= limit || count > 0 && p.sent == count {
				return
			}
			p.send()
			if count > 0 && p.sent == count {
				next.Reset(patience)
			} else {
				next.Reset(pause)
			}
		case <-replies:
			if count > 0 && p.received >= count {
				return
			}
		}
	}
}

func (p *pinging) send() {
	packet := make([]byte, 8+p.size)
	packet[0] = 8
	if p.v6 {
		packet[0] = 128
	}
	binary.BigEndian.PutUint16(packet[4:], p.ident)
	binary.BigEndian.PutUint16(packet[6:], uint16(p.sent))
	if p.size >= 8 {
		binary.NativeEndian.PutUint64(packet[8:], uint64(time.Now().UnixNano()))
	}
	if !p.v6 {
		binary.BigEndian.PutUint16(packet[2:], checksum(packet))
	}
	p.sent++
	var to unix.Sockaddr
	if p.v6 {
		to = &unix.SockaddrInet6{Addr: [16]byte(p.to.To16())}
	} else {
		to = &unix.SockaddrInet4{Addr: [4]byte(p.to.To4())}
	}
	if err := unix.Sendto(p.fd, packet, 0, to); err != nil {
		p.errorf("sendto: %s", reason(err))
	}
}

func checksum(packet []byte) uint16 {
	sum := uint32(0)
	for i := 0; i+1 < len(packet); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(packet[i:]))
	}
	if len(packet)%2 == 1 {
		sum += uint32(packet[len(packet)-1]) << 8
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}

func (p *pinging) receive(replies chan<- struct{}) {
	buf, control := make([]byte, 65536), make([]byte, 256)
	for {
		n, oobn, _, from, err := unix.Recvmsg(p.fd, buf, control, 0)
		now := time.Now()
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return
		}
		packet, ttl := buf[:n], hops(control[:oobn])
		if p.raw && !p.v6 && n > 20 {
			ttl = int(packet[8])
			packet = packet[int(packet[0]&15)*4:]
		}
		if len(packet) < 8 || packet[0] != 0 && packet[0] != 129 {
			continue
		}
		if p.raw && binary.BigEndian.Uint16(packet[4:]) != p.ident {
			continue
		}
		p.reply(packet, ttl, from, now)
		select {
		case replies <- struct{}{}:
		default:
		}
	}
}

func hops(control []byte) int {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return 0
	}
	for _, m := range messages {
		if (m.Header.Type == unix.IP_TTL || m.Header.Type == unix.IPV6_HOPLIMIT) && len(m.Data) >= 4 {
			return int(binary.NativeEndian.Uint32(m.Data))
		}
	}
	return 0
}

func (p *pinging) reply(packet []byte, ttl int, from unix.Sockaddr, now time.Time) {
	seq := binary.BigEndian.Uint16(packet[6:])
	source := p.to
	switch a := from.(type) {
	case *unix.SockaddrInet4:
		source = a.Addr[:]
	case *unix.SockaddrInet6:
		source = a.Addr[:]
	}
	took := time.Duration(-1)
	if p.size >= 8 && len(packet) >= 16 {
		took = now.Sub(time.Unix(0, int64(binary.NativeEndian.Uint64(packet[8:]))))
		if p.received == 0 || took < p.low {
			p.low = took
		}
		p.high = max(p.high, took)
		p.sum += took
	}
	duplicate := ""
	if p.seen[seq] {
		duplicate = " (DUP!)"
	} else {
		p.received++
	}
	p.seen[seq] = true
	if p.quiet {
		return
	}
	p.printf("%d bytes from %s: seq=%d ttl=%d", len(packet), source, seq, ttl)
	if took >= 0 {
		p.printf(" time=%s ms", milliseconds(took))
	}
	p.print(duplicate, "\n")
	p.out.Flush()
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%d.%03d", d.Milliseconds(), d.Microseconds()%1000)
}

func (p *pinging) summary() int {
	p.printf("\n--- %s ping statistics ---\n%d packets transmitted, %d packets received, ", p.name, p.sent, p.received)
	if extra := len(p.seen); extra > p.received {
		p.printf("%d duplicates, ", extra-p.received)
	}
	if p.sent > 0 {
		p.printf("%d%% packet loss", (p.sent-p.received)*100/p.sent)
	}
	p.print("\n")
	if p.received > 0 && p.size >= 8 {
		p.printf("round-trip min/avg/max = %s/%s/%s ms\n", milliseconds(p.low), milliseconds(p.sum/time.Duration(p.received)), milliseconds(p.high))
	}
	if p.received == 0 {
		return 1
	}
	return 0
}

// nc

func nc(c *call) int {
	o, ok := c.options("+luvznkp:w:s:e:46") // -e takes all the words that follow, so it comes last
	if !ok {
		return 1
	}
	rest := o.rest
	if o.has('e') {
		return c.misused("-e is given after host and port as: nc HOST PORT -e PROG")
	}
	var program []string
	for i, word := range rest {
		if word == "-e" && i+1 < len(rest) {
			rest, program = rest[:i], rest[i+1:]
			break
		}
	}
	network := "tcp"
	if o.has('u') {
		network = "udp"
	}
	if o.has('4') || o.has('6') {
		network += map[bool]string{true: "4", false: "6"}[o.has('4')]
	}
	patience, ok := duration(o.value('w', "0"))
	if !ok {
		return c.fail("invalid number '%s'", o.value('w', ""))
	}
	if o.has('k') && !o.has('l') || o.has('z') && o.has('l') {
		return c.misused("-k is for -l, and -z is not")
	}
	if o.has('l') {
		port := o.value('p', "")
		if port == "" && len(rest) > 0 {
			port = rest[len(rest)-1]
		}
		if port == "" {
			return c.misused("-l needs -p PORT")
		}
		return c.listen(network, net.JoinHostPort(o.value('s', ""), port), o, patience, program)
	}
	if len(rest) != 2 {
		return c.misused("")
	}
	if o.has('n') && net.ParseIP(rest[0]) == nil {
		return c.fail("bad address '%s'", rest[0])
	}
	return c.connect(network, rest[0], rest[1], o, patience, program)
}

func (c *call) connect(network, host, ports string, o *options, patience time.Duration, program []string) int {
	address, err := resolve(host, "ip")
	if err != nil {
		return c.fail("%v", err)
	}
	from, to, _ := strings.Cut(ports, "-")
	first, err1 := strconv.Atoi(from)
	last, err2 := first, error(nil)
	if to != "" {
		last, err2 = strconv.Atoi(to)
	}
	if err1 != nil || err2 != nil || first < 0 || last > 65535 {
		return c.fail("bad port '%s'", ports)
	}
	dialer := net.Dialer{Timeout: patience}
	if local := o.value('p', ""); local != "" || o.has('s') {
		n, err := strconv.Atoi(local)
		if err != nil && local != "" {
			return c.fail("bad local port '%s'", local)
		}
		if strings.HasPrefix(network, "udp") {
			dialer.LocalAddr = &net.UDPAddr{IP: net.ParseIP(o.value('s', "")), Port: n}
		} else {
			dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(o.value('s', "")), Port: n}
		}
	}
	for port := first; port <= last; port++ {
		conn, err := dialer.Dial(network, net.JoinHostPort(address.String(), strconv.Itoa(port)))
		if err != nil {
			if last == first || o.has('v') {
				c.errorf("can't connect to remote host (%s): %s", address, netReason(err))
			}
			c.bad = 1
			continue
		}
		if o.has('v') {
			fmt.Fprintf(c.err, "%s (%s:%d) open\n", host, address, port)
		}
		if o.has('z') {
			conn.Close()
			continue
		}
		return c.converse(conn, patience, program)
	}
	return c.bad
}

func (c *call) listen(network, address string, o *options, patience time.Duration, program []string) int {
	if strings.HasPrefix(network, "udp") {
		return c.listenPackets(network, address, patience)
	}
	l, err := net.Listen(network, address)
	if err != nil {
		return c.fail("bind: %s", reason(err))
	}
	defer l.Close()
	if o.has('v') {
		fmt.Fprintf(c.err, "listening on %s ...\n", l.Addr())
	}
	for {
		if patience > 0 {
			l.(*net.TCPListener).SetDeadline(time.Now().Add(patience))
		}
		conn, err := l.Accept()
		if err != nil {
			return c.fail("accept: %s", netReason(err))
		}
		if o.has('v') {
			fmt.Fprintf(c.err, "connect to %s from %s\n", conn.LocalAddr(), conn.RemoteAddr())
		}
		if code := c.converse(conn, 0, program); !o.has('k') {
			return code
		}
	}
}

// listenPackets takes the first datagram's sender as the other end.
func (c *call) listenPackets(network, address string, patience time.Duration) int {
	conn, err := net.ListenPacket(network, address)
	if err != nil {
		return c.fail("bind: %s", reason(err))
	}
	defer conn.Close()
	buf := make([]byte, 65536)
	if patience > 0 {
		conn.SetReadDeadline(time.Now().Add(patience))
	}
	n, peer, err := conn.ReadFrom(buf)
	if err != nil {
		return c.fail("%s", netReason(err))
	}
	os.Stdout.Write(buf[:n])
	go func() {
		text := make([]byte, 8192)
		for {
			n, err := os.Stdin.Read(text)
			if n > 0 {
				conn.WriteTo(text[:n], peer)
			}
			if err != nil {
				return
			}
		}
	}()
	for {
		if patience > 0 {
			conn.SetReadDeadline(time.Now().Add(patience))
		}
		n, from, err := conn.ReadFrom(buf)
		if err != nil {
			return 0
		}
		if from.String() == peer.String() {
			os.Stdout.Write(buf[:n])
		}
	}
}

// converse copies both ways until the other end closes; our end of input closes our half.
func (c *call) converse(conn net.Conn, patience time.Duration, program []string) int {
	defer conn.Close()
	if len(program) > 0 {
		cmd := exec.Command(program[0], program[1:]...)
		if f, err := conn.(interface{ File() (*os.File, error) }).File(); err == nil {
			unix.SetNonblock(int(f.Fd()), false)
			cmd.Stdin, cmd.Stdout, cmd.Stderr = f, f, f
			defer f.Close()
		}
		return c.result(program, cmd.Run())
	}
	go func() {
		io.Copy(conn, plain{os.Stdin})
		if half, ok := conn.(interface{ CloseWrite() error }); ok {
			half.CloseWrite()
		}
	}()
	buf := make([]byte, 16<<10)
	for {
		if patience > 0 {
			conn.SetReadDeadline(time.Now().Add(patience))
		}
		n, err := conn.Read(buf)
		if n > 0 {
			if _, err := os.Stdout.Write(buf[:n]); err != nil {
				return 1
			}
		}
		switch {
		case err == io.EOF:
			return 0
		case err != nil:
			if conn.LocalAddr().Network() == "udp" {
				return 0
			}
			return c.fail("%s", netReason(err))
		}
	}
}

// wget

type fetching struct {
	*call
	o      *options
	client *http.Client
	quiet  bool
	lost   bool // what failed last was the network: another try may help
}

func wget(c *call) int {
	o, ok := c.options("cqSO:T:U:P:t:", "continue=c", "quiet=q", "server-response=S", "output-document=O", "timeout=T", "user-agent=U",
		"header=H:", "post-data=1:", "post-file=2:", "spider=N", "no-check-certificate=n", "directory-prefix=P", "tries=t")
	if !ok || len(o.rest) == 0 {
		return c.misused("")
	}
	patience, ok := duration(o.value('T', "900"))
	if !ok {
		return c.fail("invalid number '%s'", o.value('T', ""))
	}
	tries := o.number('t', 1)
	if o.failed {
		return 1
	}
	f := &fetching{call: c, o: o, quiet: o.has('q')}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, ResponseHeaderTimeout: patience, TLSClientConfig: &tls.Config{InsecureSkipVerify: o.has('n')},
		DialContext: (&net.Dialer{Timeout: patience}).DialContext, DisableCompression: true}
	f.client = &http.Client{Transport: transport, CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if len(via) > 20 {
			return errors.New("too many redirections")
		}
		return nil
	}}
	for _, target := range o.rest {
		code := f.fetch(target)
		for n := int64(1); code != 0 && f.lost && n != tries; n++ { // -t 0 tries for ever
			time.Sleep(time.Second)
			code = f.fetch(target)
		}
		if code != 0 {
			return code
		}
	}
	return 0
}

func (f *fetching) say(format string, args ...any) {
	if !f.quiet {
		fmt.Fprintf(f.err, format, args...)
	}
}

func (f *fetching) fetch(target string) int {
	if !strings.Contains(target, "://") {
		target = "http://" + target
	}
	u, err := url.Parse(target)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return f.fail("not an http or ftp url: %s", target)
	}
	name := f.destination(u)
	method, body, err := f.body()
	if err != nil {
		return f.fail("%s", reason(err))
	}
	request, err := http.NewRequest(method, target, body)
	if err != nil {
		return f.fail("%v", err)
	}
	request.Header.Set("User-Agent", f.o.value('U', "Wget"))
	for _, line := range f.o.values('H') {
		key, value, _ := strings.Cut(line, ":")
		if value = strings.TrimSpace(value); strings.EqualFold(key, "host") {
			request.Host = value
		}
		request.Header.Set(strings.TrimSpace(key), value)
	}
	if method == "POST" && request.Header.Get("Content-Type") == "" {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	start := int64(0)
	if info, err := os.Stat(name); f.o.has('c') && err == nil && name != "-" {
		start = info.Size()
		request.Header.Set("Range", fmt.Sprintf("bytes=%d-", start))
	}
	address, err := resolve(u.Hostname(), "ip")
	if err != nil {
		return f.fail("%v", err)
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	f.say("Connecting to %s (%s)\n", u.Host, net.JoinHostPort(address.String(), port))
	response, err := f.client.Do(request)
	if f.lost = err != nil; f.lost {
		var inner *url.Error
		if errors.As(err, &inner) {
			err = inner.Err
		}
		var op *net.OpError
		if errors.As(err, &op) && op.Op == "dial" {
			return f.fail("can't connect to remote host (%s): %s", address, netReason(err))
		}
		return f.fail("%s", netReason(err))
	}
	defer response.Body.Close()
	if f.o.has('S') {
		fmt.Fprintf(f.err, "  %s %s\n", response.Proto, response.Status)
		for key, values := range response.Header {
			for _, value := range values {
				fmt.Fprintf(f.err, "  %s: %s\n", key, value)
			}
		}
	}
	if response.StatusCode == http.StatusRequestedRangeNotSatisfiable && start > 0 {
		return 0
	}
	if response.StatusCode >= 400 {
		return f.fail("server returned error: %s %s", response.Proto, response.Status)
	}
	if f.o.has('N') {
		f.say("remote file exists\n")
		return 0
	}
	return f.save(response, name, start)
}

func (f *fetching) body() (method string, body io.Reader, err error) {
	switch {
	case f.o.has('1'):
		return "POST", strings.NewReader(f.o.value('1', "")), nil
	case f.o.has('2'):
		file, err := os.Open(f.o.value('2', ""))
		return "POST", file, err
	case f.o.has('N'):
		return "HEAD", nil, nil
	}
	return "GET", nil, nil
}

func (f *fetching) destination(u *url.URL) string {
	if name := f.o.value('O', ""); name != "" {
		return name
	}
	name := path.Base(u.Path)
	if u.Path == "" || strings.HasSuffix(u.Path, "/") {
		name = "index.html"
	}
	if dir := f.o.value('P', ""); dir != "" {
		name = dir + "/" + name
	}
	return name
}

func (f *fetching) save(response *http.Response, name string, start int64) int {
	out := os.Stdout
	if name != "-" {
		flags := os.O_WRONLY | os.O_CREATE | os.O_EXCL
		if f.o.has('O') {
			flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
		}
		if start > 0 && response.StatusCode == http.StatusPartialContent {
			flags = os.O_WRONLY | os.O_APPEND
		}
		var err error
		if out, err = os.OpenFile(name, flags, 0o666); err != nil {
			return f.fail("can't open '%s': %s", name, reason(err))
		}
		defer out.Close()
		f.say("saving to '%s'\n", name)
	} else {
		f.say("writing to stdout\n")
	}
	bar := &progress{f: f, name: path.Base(name), total: response.ContentLength, start: time.Now()}
	if name != "-" && isTerminal(2) && !f.quiet {
		bar.live = true
	}
	_, err := io.Copy(io.MultiWriter(out, bar), response.Body)
	if f.lost = err != nil; f.lost {
		return f.fail("%s", netReason(err))
	}
	bar.finish()
	if name == "-" {
		f.say("-%20s 100%% |%s| %5s  0:00:00 ETA\nwritten to stdout\n", "", strings.Repeat("*", 32), human(bar.done))
	} else {
		f.say("'%s' saved\n", name)
	}
	return 0
}

type progress struct {
	f           *fetching
	name        string
	done, total int64
	start, last time.Time
	live        bool
}

func (p *progress) Write(data []byte) (int, error) {
	p.done += int64(len(data))
	if p.live && time.Since(p.last) > 200*time.Millisecond {
		p.last = time.Now()
		p.draw()
	}
	return len(data), nil
}

func (p *progress) draw() {
	percent := int64(100)
	if p.total > 0 {
		percent = p.done * 100 / p.total
	}
	left := time.Duration(0)
	if p.done > 0 && p.total > p.done {
		left = time.Duration(float64(time.Since(p.start)) * float64(p.total-p.done) / float64(p.done))
	}
	stars := strings.Repeat("*", int(percent*32/100))
	fmt.Fprintf(p.f.err, "\r%-20.20s %3d%% |%-32s| %5s  %d:%02d:%02d ETA", p.name, percent, stars, human(p.done), int(left.Hours()), int(left.Minutes())%60,
		int(left.Seconds())%60)
}

func (p *progress) finish() {
	if p.f.quiet || p.f.o.value('O', "") == "-" {
		return
	}
	p.draw()
	fmt.Fprintln(p.f.err)
}

// httpd

func httpd(c *call) int {
	o, ok := c.options("fvp:h:")
	if !ok {
		return 1
	}
	dir := o.value('h', ".")
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return c.fail("can't change directory to '%s': No such file or directory", dir)
	}
	address := o.value('p', "80")
	if !strings.Contains(address, ":") {
		address = ":" + address
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return c.fail("bind: %s", reason(err))
	}
	if !o.has('f') {
		return c.daemon(l)
	}
	files := http.FileServer(http.Dir(dir))
	server := &http.Server{ReadHeaderTimeout: 30 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if o.has('v') {
			fmt.Fprintf(c.err, "%s: url:%s\n", r.RemoteAddr, r.URL.Path)
		}
		files.ServeHTTP(w, r)
	})}
	return c.fail("%v", server.Serve(l))
}

// daemon starts httpd again in the background. The port is bound here first, so that a busy one is told to the user.
func (c *call) daemon(l net.Listener) int {
	l.Close()
	cmd := exec.Command("/proc/self/exe", append([]string{"-f"}, c.args...)...)
	cmd.Args[0] = "httpd"
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return c.fail("can't start the server: %s", reason(err))
	}
	return 0
}
