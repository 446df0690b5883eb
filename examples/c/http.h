/*
 * One POST over a plain socket, for the examples in C and C++. It keeps to a time limit by itself, with poll(): a function on
 * its caller's thread cannot be interrupted, so what it waits for must know when to stop. No TLS, no pools: an example.
 */
#ifndef EXAMPLES_HTTP_H
#define EXAMPLES_HTTP_H

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* Where requests go: the two halves of `http://HOST:PORT`. */
struct http_server {
    char host[256];
    char port[8];
};

struct http_answer {
    int status;
    double retry_after_s; /* negative: the server asked for none */
    char body[4096];
};

static inline double http_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* Waits until the socket is ready for `events`; 0 once `until_ms` has passed. */
static inline int http_ready(int socket_fd, short events, double until_ms)
{
    for (;;) {
        const double left = until_ms - http_now_ms();
        if (left <= 0)
            return 0;
        struct pollfd polled = {socket_fd, events, 0};
        const int ready = poll(&polled, 1, left < 60e3 ? (int)ceil(left) : 60000);
        if (ready > 0 || (ready < 0 && errno != EINTR))
            return 1;
    }
}

/* A connection, or -1 and what is in the way. */
static inline int http_connect(const struct http_server *server, double until_ms, const char **error)
{
    struct addrinfo hints;
    struct addrinfo *found = NULL;
    memset(&hints, 0, sizeof hints);
    hints.ai_socktype = SOCK_STREAM;
    *error = "the payment API's host is unknown";
    if (getaddrinfo(server->host, server->port, &hints, &found) != 0)
        return -1;
    int connected = -1;
    for (const struct addrinfo *at = found; at != NULL && connected < 0; at = at->ai_next) {
        const int fd = socket(at->ai_family, at->ai_socktype, at->ai_protocol);
        if (fd < 0)
            continue;
        fcntl(fd, F_SETFL, O_NONBLOCK);
        int failure = connect(fd, at->ai_addr, at->ai_addrlen) == 0 ? 0 : errno;
        if (failure == EINPROGRESS) {
            socklen_t size = sizeof failure;
            if (!http_ready(fd, POLLOUT, until_ms))
                failure = ETIMEDOUT;
            else
                getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &size);
        }
        *error = failure == ETIMEDOUT ? "no connection in time" : "connection refused";
        if (failure == 0)
            connected = fd;
        else
            close(fd);
    }
    freeaddrinfo(found);
    return connected;
}

/* The value of a header of this answer, or null. */
static inline const char *http_header(const char *head, const char *name)
{
    for (const char *line = strstr(head, "\r\n"); line != NULL; line = strstr(line + 2, "\r\n"))
        if (strncasecmp(line + 2, name, strlen(name)) == 0 && line[2 + strlen(name)] == ':')
            return line + 3 + strlen(name);
    return NULL;
}

/* Takes an answer apart; what is wrong with it, or null. `text` is all that came until the connection ended. */
static inline const char *http_parse(char *text, struct http_answer *answer)
{
    char *end = strstr(text, "\r\n\r\n");
    if (end == NULL || sscanf(text, "HTTP/1.%*d %d", &answer->status) != 1)
        return "the connection ended before the answer";
    *end = '\0';
    const char *body = end + 4;
    const char *length = http_header(text, "content-length");
    if (length == NULL || strtoul(length, NULL, 10) != strlen(body))
        return "the connection ended in the middle of the answer";
    const char *wait = http_header(text, "retry-after");
    answer->retry_after_s = wait == NULL ? -1 : strtod(wait, NULL);
    snprintf(answer->body, sizeof answer->body, "%s", body);
    return NULL;
}

/*
 * Posts JSON and reads the answer, within `limit_ms` (infinity for none). `headers` are whole lines. What went wrong below
 * HTTP, or null when there is an answer.
 */
static inline const char *http_post(const struct http_server *server, const char *path, const char *headers,
                                    const char *json, double limit_ms, struct http_answer *answer)
{
    const double until_ms = http_now_ms() + limit_ms;
    char text[8192];
    const int size = snprintf(text, sizeof text,
                              "POST %s HTTP/1.1\r\nhost: %s:%s\r\nconnection: close\r\ncontent-type: application/json\r\n"
                              "content-length: %zu\r\n%s\r\n%s",
                              path, server->host, server->port, strlen(json), headers, json);
    if (size < 0 || (size_t)size >= sizeof text)
        return "the request is too long";
    const char *error;
    const int fd = http_connect(server, until_ms, &error);
    if (fd < 0)
        return error;
    error = NULL;
    for (int sent = 0; sent < size && error == NULL;) {
        const ssize_t more = send(fd, text + sent, (size_t)(size - sent), MSG_NOSIGNAL);
        if (more > 0)
            sent += (int)more;
        else if (errno != EAGAIN)
            error = "the connection was reset";
        else if (!http_ready(fd, POLLOUT, until_ms))
            error = "no answer in time";
    }
    size_t got = 0;
    while (error == NULL) {
        const ssize_t more = recv(fd, text + got, sizeof text - 1 - got, 0);
        if (more > 0)
            got += (size_t)more;
        else if (more == 0)
            break;
        else if (errno != EAGAIN)
            error = "the connection was reset";
        else if (!http_ready(fd, POLLIN, until_ms))
            error = "no answer in time";
    }
    close(fd);
    text[got] = '\0';
    return error != NULL ? error : http_parse(text, answer);
}

/* Takes `http://HOST:PORT` apart; 0 when it is none. */
static inline int http_server_of(const char *url, struct http_server *server)
{
    return sscanf(url, "http://%255[^:/]:%7[0-9]", server->host, server->port) == 2;
}

#endif
