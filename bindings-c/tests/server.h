/* A small server of HTTP/1.1 on loopback, for tests: a thread for each connection, which reads requests whole and lets the test's function
 * answer them. */
#ifndef SERVER_H
#define SERVER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A request as it came: its head as text, and its body, of which the first bytes are kept. */
struct request {
    char head[8192];
    char body[1024];
    size_t body_length;
};

struct event;
struct server;

/* Answers a request; whether the connection goes on. */
typedef bool (*answers)(struct server *server, int connection, const struct request *request);

struct server {
    int listener;
    int port;
    char url[64];
    answers answer;
    void *data;
    pthread_mutex_t lock;
    int connections;
    int requests;
    struct request last;
    struct event *answered;
};

/* One that lives as long as the process. */
struct server *server_of(answers answer, void *data);

/* The URL of a port where nobody listens. */
const char *nobody(void);

int requests_of(struct server *server);
struct request last_of(struct server *server);

/* What a header of the request says; empty when there is none. The result is one buffer for each thread. */
const char *header_of(const struct request *request, const char *name);

/* Sends all of it, if somebody still listens. */
bool send_all(int connection, const char *bytes, size_t length);
bool send_text(int connection, const char *format, ...);

/* `200 OK` and the like, with a body. */
bool respond(int connection, const char *status, const char *body);

#ifdef __cplusplus
}
#endif

#endif
