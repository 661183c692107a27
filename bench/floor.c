/* The floor under every TLS probe: getaddrinfo, connect, handshake with every check, one GET, the first bytes.

   floor HOST PORT NAME CA-FILE: for each line on stdin one probe, and on stdout the microseconds that it took. */
#include <netdb.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static void die(const char *what) {
    fprintf(stderr, "floor: %s failed\n", what);
    exit(1);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1e6 + time.tv_nsec / 1e3;
}

static void probe(SSL_CTX *context, const char *host, const char *port, const char *name) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    if (getaddrinfo(host, port, &hints, &found)) die("getaddrinfo");
    int stream = socket(found->ai_family, found->ai_socktype, found->ai_protocol);
    struct timeval patience = {.tv_sec = 3};
    setsockopt(stream, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(stream, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (connect(stream, found->ai_addr, found->ai_addrlen)) die("connect");
    freeaddrinfo(found);
    SSL *secure = SSL_new(context);
    SSL_set_fd(secure, stream);
    SSL_set_tlsext_host_name(secure, name);
    SSL_set1_host(secure, name);
    if (SSL_connect(secure) != 1) die("SSL_connect");
    char text[4096];
    int length = snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", name);
    if (SSL_write(secure, text, length) != length) die("SSL_write");
    length = SSL_read(secure, text, sizeof text - 1);
    if (length < 12 || strncmp(text, "HTTP/1.1 200", 12)) die("the answer");
    SSL_free(secure);
    close(stream);
}

int main(int count, char **words) {
    if (count != 5) die("floor HOST PORT NAME CA-FILE");
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    if (SSL_CTX_load_verify_locations(context, words[4], NULL) != 1) die("loading the authority");
    for (char line[16]; fgets(line, sizeof line, stdin);) {
        double start = now();
        probe(context, words[1], words[2], words[3]);
        printf("%.0f\n", now() - start);
        fflush(stdout);
    }
    return 0;
}
