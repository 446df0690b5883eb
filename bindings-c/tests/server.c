/* The server of server.h. */
#include "server.h"
#include "common.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

/* Bytes of one connection, read ahead. */
struct reader {
    int connection;
    char buffer[16384];
    size_t at, end;
};

static int read_byte(struct reader *reader)
{
    if (reader->at == reader->end) {
        const ssize_t count = recv(reader->connection, reader->buffer, sizeof reader->buffer, 0);
        if (count <= 0)
            return -1;
        reader->at = 0;
        reader->end = (size_t)count;
    }
    return (unsigned char)reader->buffer[reader->at++];
}

const char *header_of(const struct request *request, const char *name)
{
    static _Thread_local char value[512];
    value[0] = '\0';
    for (const char *line = strstr(request->head, "\r\n"); line != NULL; line = strstr(line, "\r\n")) {
        line += 2;
        const size_t length = strlen(name);
        if (strncasecmp(line, name, length) == 0 && line[length] == ':') {
            snprintf(value, sizeof value, "%.*s", (int)strcspn(line + length + 2, "\r"), line + length + 2);
            break;
        }
    }
    return value;
}

static bool read_body(struct reader *reader, struct request *request, size_t count)
{
    for (; count > 0; count--) {
        const int byte = read_byte(reader);
        if (byte < 0)
            return false;
        if (request->body_length < sizeof request->body - 1)
            request->body[request->body_length] = (char)byte;
        request->body_length++;
    }
    return true;
}

static bool read_line(struct reader *reader, char *line, size_t size)
{
    size_t length = 0;
    for (int byte; (byte = read_byte(reader)) >= 0;) {
        if (length + 1 < size)
            line[length++] = (char)byte;
        if (byte == '\n') {
            line[length] = '\0';
            return true;
        }
    }
    return false;
}

static bool read_request(struct reader *reader, struct request *request)
{
    memset(request, 0, sizeof *request);
    char line[8192];
    do {
        if (!read_line(reader, line, sizeof line))
            return false;
        strncat(request->head, line, sizeof request->head - strlen(request->head) - 1);
    } while (strcmp(line, "\r\n") != 0);
    if (strcasecmp(header_of(request, "transfer-encoding"), "chunked") != 0)
        return read_body(reader, request, strtoul(header_of(request, "content-length"), NULL, 10));
    for (;;) {
        if (!read_line(reader, line, sizeof line))
            return false;
        const size_t count = strtoul(line, NULL, 16);
        if (!read_body(reader, request, count) || !read_line(reader, line, sizeof line))
            return false;
        if (count == 0)
            return true;
    }
}

bool send_all(int connection, const char *bytes, size_t length)
{
    while (length > 0) {
        const ssize_t count = send(connection, bytes, length, MSG_NOSIGNAL);
        if (count <= 0)
            return false;
        bytes += count;
        length -= (size_t)count;
    }
    return true;
}

bool send_text(int connection, const char *format, ...)
{
    char text[4096];
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    CHECK(length >= 0 && (size_t)length < sizeof text);
    return send_all(connection, text, (size_t)length);
}

bool respond(int connection, const char *status, const char *body)
{
    return send_text(connection, "HTTP/1.1 %s\r\ncontent-length: %zu\r\n\r\n%s", status, strlen(body), body);
}

struct accepted {
    struct server *server;
    int connection;
};

static void *serve_connection(void *data)
{
    struct accepted accepted = *(struct accepted *)data;
    free(data);
    struct server *server = accepted.server;
    struct reader *reader = calloc(1, sizeof *reader);
    struct request *request = malloc(sizeof *request);
    CHECK(reader != NULL && request != NULL);
    reader->connection = accepted.connection;
    bool goes_on = true;
    while (goes_on && read_request(reader, request)) {
        pthread_mutex_lock(&server->lock);
        server->requests++;
        server->last = *request;
        pthread_mutex_unlock(&server->lock);
        goes_on = server->answer(server, accepted.connection, request);
        event_happened(server->answered);
    }
    close(accepted.connection);
    free(request);
    free(reader);
    return NULL;
}

static void *serve(void *data)
{
    struct server *server = data;
    for (;;) {
        const int connection = accept(server->listener, NULL, NULL);
        if (connection < 0)
            return NULL;
        pthread_mutex_lock(&server->lock);
        server->connections++;
        pthread_mutex_unlock(&server->lock);
        struct accepted *accepted = malloc(sizeof *accepted);
        CHECK(accepted != NULL);
        *accepted = (struct accepted){server, connection};
        pthread_t thread;
        CHECK_INT(pthread_create(&thread, NULL, serve_connection, accepted), 0);
        pthread_detach(thread);
    }
}

static int listen_on_loopback(int *port)
{
    const int listener = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(listener >= 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof address;
    CHECK_INT(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    CHECK_INT(listen(listener, 128), 0);
    CHECK_INT(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    *port = ntohs(address.sin_port);
    return listener;
}

struct server *server_of(answers answer, void *data)
{
    struct server *server = calloc(1, sizeof *server);
    CHECK(server != NULL);
    static const struct event none = EVENT_NONE;
    *server = (struct server){.answer = answer, .data = data, .answered = malloc(sizeof *server->answered)};
    CHECK(server->answered != NULL);
    *server->answered = none;
    pthread_mutex_init(&server->lock, NULL);
    server->listener = listen_on_loopback(&server->port);
    snprintf(server->url, sizeof server->url, "http://127.0.0.1:%d", server->port);
    pthread_t thread;
    CHECK_INT(pthread_create(&thread, NULL, serve, server), 0);
    pthread_detach(thread);
    return server;
}

const char *nobody(void)
{
    static char url[64];
    int port;
    close(listen_on_loopback(&port));
    snprintf(url, sizeof url, "http://127.0.0.1:%d", port);
    return url;
}

int requests_of(struct server *server)
{
    pthread_mutex_lock(&server->lock);
    const int requests = server->requests;
    pthread_mutex_unlock(&server->lock);
    return requests;
}

struct request last_of(struct server *server)
{
    pthread_mutex_lock(&server->lock);
    const struct request last = server->last;
    pthread_mutex_unlock(&server->lock);
    return last;
}
