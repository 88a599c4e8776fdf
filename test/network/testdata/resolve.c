/* resolve NAME: prints the addresses that the C library finds, sorted as getaddrinfo does. */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>

int main(int argc, char **argv)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list;
	char text[INET6_ADDRSTRLEN];
	int error = getaddrinfo(argv[argc - 1], 0, &hints, &list);
	if (error) {
		fprintf(stderr, "%s\n", gai_strerror(error));
		return 1;
	}
	for (; list; list = list->ai_next) {
		void *address = list->ai_family == AF_INET ? (void *)&((struct sockaddr_in *)list->ai_addr)->sin_addr
							   : (void *)&((struct sockaddr_in6 *)list->ai_addr)->sin6_addr;
		puts(inet_ntop(list->ai_family, address, text, sizeof text));
	}
}
