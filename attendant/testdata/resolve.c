/* resolve NAME...: what getaddrinfo(3) of this C library finds, one line for each name. */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
	struct addrinfo hints, *all, *a;
	char text[64];
	int i, code;

	memset(&hints, 0, sizeof hints);
	hints.ai_socktype = SOCK_STREAM;
	for (i = 1; i < argc; i++) {
		code = getaddrinfo(argv[i], NULL, &hints, &all);
		if (code) {
			printf("%s\n", gai_strerror(code));
			continue;
		}
		for (a = all; a; a = a->ai_next) {
			const void *from = a->ai_family == AF_INET ? (void *)&((struct sockaddr_in *)a->ai_addr)->sin_addr
			                                           : (void *)&((struct sockaddr_in6 *)a->ai_addr)->sin6_addr;
			printf("%s%s", inet_ntop(a->ai_family, from, text, sizeof text), a->ai_next ? " " : "\n");
		}
		freeaddrinfo(all);
	}
	return 0;
}
