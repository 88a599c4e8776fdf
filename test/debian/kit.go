package debian

import (
	"glassbox/test/world"
)

// Kit is an image's contents for tests of networks and volumes: nginx with a health page, redis, and the tools that look at networks.
func Kit() ([]world.File, error) {
	return kit("nginx", "redis-server", "redis-cli", "curl", "dig", "getent", "tcpdump", "dnsmasq", "ip", "nft", "tar")
}

// SmallKit has the few that no test of networks can do without.
func SmallKit() ([]world.File, error) { return kit("nginx", "curl", "getent", "tcpdump", "ip") }

func kit(programs ...string) ([]world.File, error) {
	files, err := Programs(programs...)
	if err != nil {
		return nil, err
	}
	return append(files,
		world.File{Name: "etc/nginx/", Mode: 0o755},
		world.File{Name: "etc/nginx/nginx.conf", Mode: 0o644, Body: []byte(nginx)},
		world.File{Name: "etc/redis/", Mode: 0o755},
		world.File{Name: "etc/redis/redis.conf", Mode: 0o644, Body: []byte("bind * -::*\nprotected-mode no\nsave \"\"\ndir /tmp\n")},
	), nil
}

// The access log begins with the address that nginx sees.
const nginx = `daemon off;
user www-data;
worker_processes 1;
error_log stderr warn;
pid /tmp/nginx.pid;
events { worker_connections 64; }
http {
	log_format short '$remote_addr $request_uri $status';
	access_log /dev/stdout short;
	client_body_temp_path /tmp/body; proxy_temp_path /tmp/proxy; fastcgi_temp_path /tmp/fastcgi;
	uwsgi_temp_path /tmp/uwsgi; scgi_temp_path /tmp/scgi;
	server {
		listen 80;
		listen [::]:80;
		location /health { return 200 "healthy\n"; }
		location /name { return 200 "$hostname\n"; }
		location / { return 404 "nothing here\n"; }
	}
}
`
