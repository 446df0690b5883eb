/* Requests by the core, from C: what comes back, what is tried again, streams both ways, and how requests end (P1 to P4, H2, O3, F3). */
#include "common.h"
#include "server.h"

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

CHECK_MAIN

static amb_proxy *proxy_to(const char *target, amb_options options)
{
    amb_proxy *proxy = NULL;
    const amb_status status = amb_proxy_new(target, &options, &proxy);
    if (status != AMB_OK)
        fprintf(stderr, "%s\n", amb_last_error());
    CHECK_INT(status, AMB_OK);
    return proxy;
}

static amb_http_request request_of(const char *method, const char *path)
{
    amb_http_request request;
    CHECK_INT(amb_http_request_init(&request), AMB_OK);
    request.method = method;
    request.path = path;
    return request;
}

static amb_http_request with_body(amb_http_request request, const char *body)
{
    request.body = body;
    request.body_length = strlen(body);
    return request;
}

static void body_is(amb_response *response, const char *expected)
{
    size_t length = 0;
    const char *body = amb_response_body(response, &length);
    CHECK(body != NULL);
    CHECK_INT(length, strlen(expected));
    CHECK(memcmp(body, expected, length) == 0);
}

/* ------------------------------------------------------------------------------------------ a request and its response */

static bool charge(struct server *server, int connection, const struct request *request)
{
    (void)server;
    (void)request;
    return send_text(connection, "HTTP/1.1 201 Created\r\nX-Charge: 42\r\nset-cookie: a=1\r\nset-cookie: b=2\r\n"
                                 "content-length: 7\r\n\r\ncharged");
}

TEST(what_was_sent_arrives_and_what_came_is_told)
{
    struct server *server = server_of(charge, NULL);
    amb_proxy *proxy = proxy_to(server->url, short_options(1));
    amb_http_request request = with_body(request_of("POST", "/charges?dry=1"), "{\"amount\": 9}");
    const amb_pair headers[] = {{"Content-Type", "application/json"}, {"X-Team", "payments"}};
    request.headers = headers;
    request.headers_count = 2;
    amb_response *response = NULL;
    amb_result result;
    CHECK_INT(amb_http_send(proxy, &request, &response, &result), AMB_OK);
    CHECK_INT(result.status, AMB_OK);
    CHECK_INT(result.attempts, 1);
    CHECK_TEXT(result.message, "");
    CHECK_INT(amb_response_status(response), 201);
    CHECK_TEXT(amb_response_header(response, "x-charge"), "42");
    CHECK_TEXT(amb_response_header(response, "X-CHARGE"), "42");
    CHECK(amb_response_header(response, "x-other") == NULL);
    CHECK_TEXT(amb_response_header(response, "set-cookie"), "a=1");
    CHECK_INT(amb_response_attempts(response), 1);
    CHECK_TEXT(amb_response_endpoint(response), server->url);
    const char *name = NULL, *value = NULL;
    int cookies = 0;
    for (size_t at = 0; amb_response_header_at(response, at, &name, &value); at++)
        cookies += strcmp(name, "set-cookie") == 0;
    CHECK_INT(cookies, 2);
    body_is(response, "charged");
    CHECK_INT(amb_response_free(response), AMB_OK);

    const struct request arrived = last_of(server);
    CHECK(strncmp(arrived.head, "POST /charges?dry=1 HTTP/1.1\r\n", 30) == 0);
    CHECK_TEXT(header_of(&arrived, "content-type"), "application/json");
    CHECK_TEXT(header_of(&arrived, "x-team"), "payments");
    CHECK_TEXT(header_of(&arrived, "content-length"), "13");
    CHECK_TEXT(header_of(&arrived, "host"), server->url + strlen("http://"));
    CHECK_TEXT(arrived.body, "{\"amount\": 9}");
    amb_proxy_free(proxy);
}

static bool empty(struct server *server, int connection, const struct request *request)
{
    (void)server;
    (void)request;
    return send_text(connection, "HTTP/1.1 204 No Content\r\n\r\n");
}

TEST(a_request_that_says_nothing_is_a_get_of_the_root_and_a_body_may_be_empty)
{
    struct server *server = server_of(empty, NULL);
    amb_proxy *proxy = proxy_to(server->url, short_options(1));
    amb_http_request request;
    CHECK_INT(amb_http_request_init(&request), AMB_OK);
    amb_response *response = NULL;
    CHECK_INT(amb_http_send(proxy, &request, &response, NULL), AMB_OK);
    CHECK_INT(amb_response_status(response), 204);
    body_is(response, "");
    char buffer[8];
    CHECK_INT(amb_response_read(response, buffer, sizeof buffer), 0);
    amb_response_free(response);
    CHECK(strncmp(last_of(server).head, "GET / HTTP/1.1\r\n", 16) == 0);
    amb_proxy_free(proxy);
}

static void get_many(void *proxy)
{
    const amb_http_request request = request_of("GET", "/");
    for (int at = 0; at < 50; at++) {
        amb_response *response = NULL;
        CHECK_INT(amb_http_send(proxy, &request, &response, NULL), AMB_OK);
        body_is(response, "charged");
        CHECK_INT(amb_response_free(response), AMB_OK);
    }
}

static void *get_many_in_a_thread(void *proxy)
{
    get_many(proxy);
    return NULL;
}

TEST(many_threads_share_a_proxy_and_its_connections)
{
    struct server *server = server_of(charge, NULL);
    amb_proxy *proxy = proxy_to(server->url, short_options(1));
    pthread_t threads[8];
    for (int at = 0; at < 8; at++)
        CHECK_INT(pthread_create(&threads[at], NULL, get_many_in_a_thread, proxy), 0);
    for (int at = 0; at < 8; at++)
        CHECK_INT(pthread_join(threads[at], NULL), 0);
    CHECK_INT(requests_of(server), 400);
    CHECK(server->connections <= 8);
    amb_proxy_free(proxy);
}

/* ------------------------------------------------------------------------------------------ failures, and trying again */

TEST(of_two_endpoints_one_dead_every_request_is_answered)
{
    struct server *server = server_of(charge, NULL);
    amb_options options = untiring_options(0);
    const amb_endpoint endpoints[] = {{.url = nobody()}, {.url = server->url}};
    options.endpoints = endpoints;
    options.endpoints_count = 2;
    amb_set_log(NULL, NULL);
    amb_proxy *proxy = proxy_to("http://payment-api.example.com", options);
    amb_http_request request = with_body(request_of("POST", "/charges"), "x");
    for (int at = 0; at < 20; at++) {
        amb_response *response = NULL;
        CHECK_INT(amb_http_send(proxy, &request, &response, NULL), AMB_OK);
        CHECK_TEXT(amb_response_endpoint(response), server->url);
        CHECK(amb_response_attempts(response) <= 2);
        amb_response_free(response);
    }
    /* A refused connection is nothing sent: also a POST goes on to the other endpoint, once. */
    CHECK_INT(requests_of(server), 20);
    const struct request arrived = last_of(server);
    CHECK_TEXT(header_of(&arrived, "host"), "payment-api.example.com");
    amb_proxy_free(proxy);
}

TEST(nobody_there_is_a_connect_error_that_names_the_endpoint)
{
    amb_options options = untiring_options(0);
    options.max_retries = 2;
    const char *url = nobody();
    amb_proxy *proxy = proxy_to(url, options);
    const amb_http_request request = request_of("GET", "/");
    amb_response *response = (amb_response *)1;
    amb_result result;
    struct lines lines = {.lock = PTHREAD_MUTEX_INITIALIZER};
    amb_set_log(keep_line, &lines);
    CHECK_INT(amb_http_send(proxy, &request, &response, &result), AMB_ERR_CONNECT);
    CHECK(response == NULL);
    CHECK_INT(result.status, AMB_ERR_CONNECT);
    CHECK_INT(result.attempts, 2);
    CHECK_INT(result.attempt, 2);
    CHECK(strstr(result.message, url) != NULL);
    CHECK(strstr(amb_last_error(), url) != NULL);
    CHECK(amb_last_error_field() == NULL);
    CHECK_INT(lines.count, 1);
    CHECK(strncmp(lines.text[0], "[Ambassador] Retry 1 after ", 27) == 0);
    amb_proxy_free(proxy);
}

static bool busy_once(struct server *server, int connection, const struct request *request)
{
    (void)request;
    return requests_of(server) % 2 == 1 ? respond(connection, "503 Service Unavailable", "later") : respond(connection, "200 OK", "now");
}

TEST(a_status_that_may_be_tried_again_is_and_the_last_response_is_handed_back)
{
    struct server *server = server_of(busy_once, NULL);
    amb_set_log(NULL, NULL);
    amb_options options = untiring_options(0);
    options.max_retries = 2;
    amb_proxy *proxy = proxy_to(server->url, options);
    amb_http_request request = request_of("GET", "/");
    amb_response *response = NULL;
    amb_result result;
    CHECK_INT(amb_http_send(proxy, &request, &response, &result), AMB_OK);
    CHECK_INT(amb_response_status(response), 200);
    CHECK_INT(amb_response_attempts(response), 2);
    CHECK_INT(result.attempts, 2);
    body_is(response, "now");
    amb_response_free(response);
    amb_proxy_free(proxy);

    options.max_retries = 1;
    proxy = proxy_to(server->url, options);
    CHECK_INT(amb_http_send(proxy, &request, &response, &result), AMB_OK);
    CHECK_INT(amb_response_status(response), 503);
    body_is(response, "later");
    amb_response_free(response);
    amb_proxy_free(proxy);
}

/* Hears the request, and goes away, but for every second one. */
static bool gone_once(struct server *server, int connection, const struct request *request)
{
    (void)request;
    if (requests_of(server) % 2 == 1)
        return false;
    return respond(connection, "200 OK", "charged");
}

static int32_t post(amb_proxy *proxy, const char *key, int32_t idempotent)
{
    amb_http_request request = with_body(request_of("POST", "/charges"), "x");
    const amb_pair headers[] = {{"Idempotency-Key", key}};
    request.headers = headers;
    request.headers_count = key != NULL;
    request.idempotent = idempotent;
    amb_response *response = NULL;
    const int32_t status = amb_http_send(proxy, &request, &response, NULL);
    CHECK((status == AMB_OK) == (response != NULL));
    amb_response_free(response);
    return status;
}

TEST(a_post_that_may_have_arrived_is_sent_once_unless_it_may_be_made_twice)
{
    struct server *server = server_of(gone_once, NULL);
    amb_set_log(NULL, NULL);
    amb_options options = untiring_options(0);
    amb_proxy *proxy = proxy_to(server->url, options);
    CHECK_INT(post(proxy, NULL, AMB_IDEMPOTENT_BY_METHOD), AMB_ERR_TRANSPORT);
    CHECK_INT(requests_of(server), 1);
    CHECK_INT(post(proxy, "key-7", AMB_IDEMPOTENT_BY_METHOD), AMB_OK);
    CHECK_INT(requests_of(server), 2);
    CHECK_INT(post(proxy, "key-8", AMB_IDEMPOTENT_BY_METHOD), AMB_OK);
    CHECK_INT(requests_of(server), 4);
    CHECK_INT(post(proxy, NULL, AMB_IDEMPOTENT_YES), AMB_OK);
    CHECK_INT(requests_of(server), 6);
    CHECK_INT(post(proxy, "key-9", AMB_IDEMPOTENT_NO), AMB_ERR_TRANSPORT);
    CHECK_INT(requests_of(server), 7);
    amb_proxy_free(proxy);
}

struct keys {
    char first[512], second[512];
};

static bool keep_keys(struct server *server, int connection, const struct request *request)
{
    struct keys *keys = server->data;
    if (requests_of(server) == 1) {
        snprintf(keys->first, sizeof keys->first, "%s", header_of(request, "idempotency-key"));
        return false;
    }
    snprintf(keys->second, sizeof keys->second, "%s", header_of(request, "idempotency-key"));
    return respond(connection, "200 OK", "charged");
}

TEST(with_a_key_of_the_ambassadors_a_post_is_tried_again_under_the_same_key)
{
    struct keys keys = {"", ""};
    struct server *server = server_of(keep_keys, &keys);
    amb_set_log(NULL, NULL);
    amb_options options = untiring_options(0);
    options.idempotency_key = "auto";
    amb_proxy *proxy = proxy_to(server->url, options);
    CHECK_INT(post(proxy, NULL, AMB_IDEMPOTENT_BY_METHOD), AMB_OK);
    CHECK_INT(strlen(keys.first), 36);
    CHECK_TEXT(keys.second, keys.first);
    amb_proxy_free(proxy);
}

/* ------------------------------------------------------------------------------------------ streams */

/* Pieces that the test lets go, one at a time. */
static bool in_pieces(struct server *server, int connection, const struct request *request)
{
    (void)request;
    struct event *let_go = server->data;
    send_text(connection, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
    for (int piece = 1; piece <= 3; piece++) {
        event_wait(let_go, piece);
        send_text(connection, "6\r\npiece%d\r\n", piece);
    }
    event_wait(let_go, 4);
    return send_text(connection, "0\r\n\r\n");
}

TEST(a_streamed_body_is_read_as_it_comes)
{
    struct event let_go = EVENT_NONE;
    struct server *server = server_of(in_pieces, &let_go);
    amb_proxy *proxy = proxy_to(server->url, short_options(1));
    amb_http_request request = request_of("GET", "/report");
    request.stream = true;
    amb_response *response = NULL;
    CHECK_INT(amb_http_send(proxy, &request, &response, NULL), AMB_OK);
    CHECK_INT(amb_response_status(response), 200);
    size_t length = 7;
    CHECK(amb_response_body(response, &length) == NULL);
    CHECK_INT(length, 0);
    CHECK_TEXT(amb_last_error(), "amb_response_body: the body is a stream; read it with amb_response_read");
    char buffer[64], expected[8];
    for (int piece = 1; piece <= 3; piece++) {
        event_happened(&let_go);
        snprintf(expected, sizeof expected, "piece%d", piece);
        /* A small buffer takes what it can; the rest stays. */
        CHECK_INT(amb_response_read(response, buffer, 4), 4);
        CHECK_INT(amb_response_read(response, buffer + 4, sizeof buffer - 4), 2);
        CHECK(memcmp(buffer, expected, 6) == 0);
    }
    event_happened(&let_go);
    CHECK_INT(amb_response_read(response, buffer, sizeof buffer), 0);
    CHECK_INT(amb_response_read(response, buffer, sizeof buffer), 0);
    CHECK_INT(amb_response_free(response), AMB_OK);
    amb_proxy_free(proxy);
}

static bool cut_short(struct server *server, int connection, const struct request *request)
{
    (void)server;
    (void)request;
    send_text(connection, "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf");
    return false;
}

TEST(a_body_that_breaks_off_is_an_error_whole_or_in_pieces)
{
    struct server *server = server_of(cut_short, NULL);
    amb_set_log(NULL, NULL);
    amb_options options = untiring_options(0);
    options.max_retries = 1;
    amb_proxy *proxy = proxy_to(server->url, options);
    amb_http_request request = request_of("GET", "/");
    amb_response *response = NULL;
    CHECK_INT(amb_http_send(proxy, &request, &response, NULL), AMB_ERR_TRANSPORT);
    request.stream = true;
    CHECK_INT(amb_http_send(proxy, &request, &response, NULL), AMB_OK);
    char buffer[8];
    CHECK_INT(amb_response_read(response, buffer, sizeof buffer), 4);
    CHECK_INT(amb_response_read(response, buffer, sizeof buffer), AMB_ERR_TRANSPORT);
    CHECK(strstr(amb_last_error(), server->url) != NULL);
    CHECK_INT(amb_response_read(response, buffer, sizeof buffer), 0);
    amb_response_free(response);
    amb_proxy_free(proxy);
}

/* A body of so many bytes, in pieces. */
struct upload {
    size_t left;
    int64_t failure;
    atomic_int reads, destroyed;
};

static int64_t read_upload(void *buffer, size_t size, void *read_data)
{
    struct upload *upload = read_data;
    atomic_fetch_add(&upload->reads, 1);
    if (upload->left == 0)
        return upload->failure;
    const size_t count = upload->left < size ? upload->left : size;
    memset(buffer, 'u', count);
    upload->left -= count;
    return (int64_t)count;
}

static void destroy_upload(void *read_data)
{
    atomic_fetch_add(&((struct upload *)read_data)->destroyed, 1);
}

static amb_http_request uploading(struct upload *upload)
{
    amb_http_request request = request_of("PUT", "/reports/7");
    request.read = read_upload;
    request.read_data = upload;
    request.read_destroy = destroy_upload;
    return request;
}

static bool received(struct server *server, int connection, const struct request *request)
{
    (void)server;
    char length[32];
    snprintf(length, sizeof length, "%zu", request->body_length);
    return respond(connection, "200 OK", length);
}

TEST(a_body_may_be_given_piece_by_piece)
{
    struct server *server = server_of(received, NULL);
    amb_proxy *proxy = proxy_to(server->url, short_options(1));
    struct upload upload = {.left = 3000000};
    const amb_http_request request = uploading(&upload);
    amb_response *response = NULL;
    CHECK_INT(amb_http_send(proxy, &request, &response, NULL), AMB_OK);
    body_is(response, "3000000");
    amb_response_free(response);
    CHECK(atomic_load(&upload.reads) >= 3000000 / 65536);
    const struct request arrived = last_of(server);
    CHECK_TEXT(header_of(&arrived, "transfer-encoding"), "chunked");
    CHECK_INT(amb_shutdown(60000), AMB_OK);
    CHECK_INT(atomic_load(&upload.destroyed), 1);
    amb_proxy_free(proxy);
}

TEST(a_body_that_cannot_be_read_ends_the_request)
{
    struct server *server = server_of(received, NULL);
    amb_set_log(NULL, NULL);
    amb_proxy *proxy = proxy_to(server->url, untiring_options(0));
    struct upload upload = {.left = 10, .failure = -7};
    const amb_http_request request = uploading(&upload);
    amb_response *response = NULL;
    CHECK_INT(amb_http_send(proxy, &request, &response, NULL), AMB_ERR_BODY);
    CHECK(strstr(amb_last_error(), "returned -7") != NULL);
    CHECK_INT(amb_shutdown(60000), AMB_OK);
    CHECK_INT(atomic_load(&upload.destroyed), 1);
    amb_proxy_free(proxy);
}

/* ------------------------------------------------------------------------------------------ ends */

/* Says nothing, until the test is over. */
static bool silent(struct server *server, int connection, const struct request *request)
{
    (void)server;
    (void)request;
    char byte;
    return recv(connection, &byte, 1, 0) == 1;
}

TEST(a_server_that_says_nothing_is_a_timeout)
{
    struct server *server = server_of(silent, NULL);
    amb_options options = untiring_options(0);
    options.max_retries = 1;
    options.timeout_ms = 50;
    amb_proxy *proxy = proxy_to(server->url, options);
    const amb_http_request request = request_of("GET", "/");
    amb_response *response = NULL;
    amb_result result;
    CHECK_INT(amb_http_send(proxy, &request, &response, &result), AMB_ERR_TIMEOUT);
    CHECK(response == NULL && result.elapsed_ms >= 50);
    CHECK_INT(result.attempts, 1);
    amb_proxy_free(proxy);
}

TEST(a_request_has_bounds_of_its_own)
{
    struct server *server = server_of(silent, NULL);
    amb_set_log(NULL, NULL);
    amb_options options = untiring_options(0);
    options.max_retries = 2;
    amb_proxy *proxy = proxy_to(server->url, options);
    amb_http_request request = request_of("GET", "/");
    amb_response *response = NULL;
    amb_result result;
    request.timeout_ms = 50;
    CHECK_INT(amb_http_send(proxy, &request, &response, &result), AMB_ERR_TIMEOUT);
    CHECK_INT(result.attempts, 2);
    request.timeout_ms = AMB_NONE;
    request.deadline_ms = 50;
    CHECK_INT(amb_http_send(proxy, &request, &response, &result), AMB_ERR_DEADLINE);
    CHECK_INT(result.attempts, 1);
    request.timeout_ms = -1;
    CHECK_INT(amb_http_send(proxy, &request, &response, &result), AMB_ERR_ARGUMENT);
    CHECK(strstr(amb_last_error(), "the request's timeout_ms") != NULL);
    amb_proxy_free(proxy);
}

/* What an `on_done` was told. */
struct told {
    amb_result result;
    int status;
    char body[32];
    atomic_int destroyed;
    struct event done, gone;
};

#define NOT_TOLD {.done = EVENT_NONE, .gone = EVENT_NONE}

static void on_done(amb_response *response, const amb_result *result, void *user_data)
{
    struct told *told = user_data;
    told->result = *result;
    CHECK_INT(atomic_load(&told->destroyed), 0);
    if (response != NULL) {
        told->status = amb_response_status(response);
        size_t length = 0;
        const char *body = amb_response_body(response, &length);
        if (body != NULL)
            snprintf(told->body, sizeof told->body, "%.*s", (int)length, body);
        CHECK_INT(amb_response_free(response), AMB_OK);
    }
    event_happened(&told->done);
}

static void destroyed(void *user_data)
{
    struct told *told = user_data;
    atomic_fetch_add(&told->destroyed, 1);
    event_happened(&told->gone);
}

TEST(a_spawned_request_tells_its_end_and_then_releases_its_data)
{
    struct server *server = server_of(charge, NULL);
    amb_proxy *proxy = proxy_to(server->url, short_options(1));
    const amb_http_request request = request_of("GET", "/");
    struct told told = NOT_TOLD;
    CHECK_INT(amb_http_spawn(proxy, &request, on_done, &told, destroyed, NULL), AMB_OK);
    event_wait(&told.gone, 1);
    CHECK_INT(told.result.status, AMB_OK);
    CHECK_INT(told.status, 201);
    CHECK_TEXT(told.body, "charged");
    CHECK_INT(atomic_load(&told.destroyed), 1);
    amb_proxy_free(proxy);
}

static void send_another(amb_response *response, const amb_result *result, void *user_data)
{
    CHECK_INT(result->status, AMB_OK);
    amb_response_free(response);
    /* It waits, on a thread of the ambassador's. */
    const amb_http_request request = request_of("GET", "/");
    CHECK_INT(amb_http_send(user_data, &request, &response, NULL), AMB_OK);
    amb_response_free(response);
}

TEST(who_is_told_may_wait_for_another_request)
{
    struct server *server = server_of(charge, NULL);
    amb_proxy *proxy = proxy_to(server->url, short_options(1));
    const amb_http_request request = request_of("GET", "/");
    for (int at = 0; at < 40; at++)
        CHECK_INT(amb_http_spawn(proxy, &request, send_another, proxy, NULL, NULL), AMB_OK);
    event_wait(server->answered, 80);
    CHECK_INT(amb_shutdown(60000), AMB_OK);
    CHECK_INT(requests_of(server), 80);
    amb_proxy_free(proxy);
}

TEST(a_request_is_cancelled_from_another_thread)
{
    struct server *server = server_of(silent, NULL);
    amb_options options = short_options(1);
    options.timeout_ms = AMB_NONE;
    amb_proxy *proxy = proxy_to(server->url, options);
    const amb_http_request request = request_of("GET", "/");
    struct told told = NOT_TOLD;
    amb_call *call = NULL;
    CHECK_INT(amb_http_spawn(proxy, &request, on_done, &told, destroyed, &call), AMB_OK);
    CHECK(call != NULL);
    while (requests_of(server) == 0)
        sched_yield();
    CHECK_INT(amb_call_cancel(call), AMB_OK);
    event_wait(&told.gone, 1);
    CHECK_INT(told.result.status, AMB_CANCELLED);
    CHECK_TEXT(told.result.message, "the request was cancelled");
    CHECK_INT(told.status, 0);
    CHECK_INT(atomic_load(&told.destroyed), 1);
    CHECK_INT(amb_call_cancel(call), AMB_ERR_ARGUMENT);
    CHECK_INT(health_number(proxy, "\"cancelled\":"), 1);
    amb_proxy_free(proxy);
}

TEST(a_handle_of_a_request_ends_with_it)
{
    struct server *server = server_of(charge, NULL);
    amb_proxy *proxy = proxy_to(server->url, short_options(1));
    const amb_http_request request = request_of("GET", "/");
    struct told told = NOT_TOLD;
    amb_call *call = NULL;
    CHECK_INT(amb_http_spawn(proxy, &request, on_done, &told, destroyed, &call), AMB_OK);
    event_wait(&told.gone, 1);
    CHECK_INT(amb_call_cancel(call), AMB_ERR_ARGUMENT);
    CHECK_INT(told.result.status, AMB_OK);
    amb_proxy_free(proxy);
}

struct reading {
    amb_response *response;
    int64_t read;
};

static void *read_on(void *data)
{
    struct reading *reading = data;
    char buffer[8];
    reading->read = amb_response_read(reading->response, buffer, sizeof buffer);
    return NULL;
}

TEST(to_free_a_response_ends_a_read_of_it)
{
    struct event let_go = EVENT_NONE;
    struct server *server = server_of(in_pieces, &let_go);
    amb_proxy *proxy = proxy_to(server->url, short_options(1));
    amb_http_request request = request_of("GET", "/");
    request.stream = true;
    struct reading reading = {NULL, 0};
    CHECK_INT(amb_http_send(proxy, &request, &reading.response, NULL), AMB_OK);
    pthread_t thread;
    CHECK_INT(pthread_create(&thread, NULL, read_on, &reading), 0);
    CHECK_INT(amb_response_free(reading.response), AMB_OK);
    CHECK_INT(pthread_join(thread, NULL), 0);
    /* Whichever of the two came first. */
    CHECK(reading.read == AMB_CANCELLED || reading.read == AMB_ERR_ARGUMENT);
    amb_proxy_free(proxy);
}

/* ------------------------------------------------------------------------------------------ fallback, breaker, shutdown, fork */

static int32_t later(const amb_result *result, void *user_data, void *fallback_data)
{
    CHECK_INT(result->status, *(int *)fallback_data);
    snprintf(user_data, 32, "charged later");
    return 0;
}

static int32_t neither(const amb_result *result, void *user_data, void *fallback_data)
{
    (void)result;
    (void)user_data;
    (void)fallback_data;
    return 77;
}

TEST(a_fallback_answers_in_place_of_the_error)
{
    int expected = AMB_ERR_CONNECT;
    amb_options options = untiring_options(0);
    options.max_retries = 1;
    options.fallback = later;
    options.fallback_data = &expected;
    amb_proxy *proxy = proxy_to(nobody(), options);
    amb_http_request request = request_of("GET", "/");
    char answer[32] = "";
    request.user_data = answer;
    amb_response *response = NULL;
    amb_result result;
    CHECK_INT(amb_http_send(proxy, &request, &response, &result), AMB_OK);
    CHECK(response == NULL);
    CHECK_INT(result.status, AMB_OK);
    CHECK_INT(result.original_status, AMB_ERR_CONNECT);
    CHECK_TEXT(answer, "charged later");
    CHECK_INT(health_number(proxy, "\"fallback\":"), 1);

    struct told told = NOT_TOLD;
    CHECK_INT(amb_http_spawn(proxy, &request, on_done, &told, destroyed, NULL), AMB_OK);
    event_wait(&told.gone, 1);
    CHECK_INT(told.result.original_status, AMB_ERR_CONNECT);
    CHECK_INT(told.result.status, AMB_OK);
    CHECK_INT(health_number(proxy, "\"fallback\":"), 2);
    amb_proxy_free(proxy);

    options.fallback = neither;
    options.name = "neither";
    proxy = proxy_to(nobody(), options);
    CHECK_INT(amb_http_send(proxy, &request, &response, &result), 77);
    CHECK_INT(result.original_status, AMB_ERR_CONNECT);
    CHECK_INT(health_number(proxy, "\"fallback\":"), 0);
    amb_proxy_free(proxy);
}

TEST(an_open_circuit_refuses_requests_as_it_does_calls)
{
    struct server *server = server_of(charge, NULL);
    amb_proxy *proxy = proxy_to(server->url, short_options(1));
    CHECK_INT(amb_proxy_isolate(proxy), AMB_OK);
    const amb_http_request request = request_of("GET", "/");
    amb_response *response = NULL;
    amb_result result;
    CHECK_INT(amb_http_send(proxy, &request, &response, &result), AMB_ERR_CIRCUIT_OPEN);
    CHECK_INT(result.attempts, 0);
    CHECK_INT(requests_of(server), 0);
    amb_proxy_free(proxy);
}

TEST(after_a_shutdown_requests_are_refused_and_may_be_answered)
{
    int expected = AMB_ERR_SHUTDOWN;
    struct server *server = server_of(charge, NULL);
    amb_options options = short_options(1);
    amb_proxy *proxy = proxy_to(server->url, options);
    options.fallback = later;
    options.fallback_data = &expected;
    amb_proxy *answered = proxy_to(server->url, options);
    amb_http_request request = request_of("GET", "/");
    get_many(proxy);
    CHECK_INT(amb_shutdown(60000), AMB_OK);
    amb_response *response = NULL;
    CHECK_INT(amb_http_send(proxy, &request, &response, NULL), AMB_ERR_SHUTDOWN);
    struct told told = NOT_TOLD;
    CHECK_INT(amb_http_spawn(proxy, &request, on_done, &told, destroyed, NULL), AMB_ERR_SHUTDOWN);
    char answer[32] = "";
    request.user_data = answer;
    CHECK_INT(amb_http_send(answered, &request, &response, NULL), AMB_OK);
    CHECK_TEXT(answer, "charged later");
    CHECK_INT(amb_http_spawn(answered, &request, on_done, &told, destroyed, NULL), AMB_OK);
    event_wait(&told.gone, 1);
    CHECK_INT(told.result.original_status, AMB_ERR_SHUTDOWN);
    CHECK_INT(requests_of(server), 50);
    amb_proxy_free(answered);
    amb_proxy_free(proxy);
}

TEST(a_shutdown_that_comes_next_lets_what_was_spawned_end_well)
{
    struct server *server = server_of(charge, NULL);
    amb_proxy *proxy = proxy_to(server->url, short_options(1));
    const amb_http_request request = request_of("GET", "/");
    static struct told told[50];
    const struct told none = NOT_TOLD;
    for (int at = 0; at < 50; at++) {
        told[at] = none;
        CHECK_INT(amb_http_spawn(proxy, &request, on_done, &told[at], destroyed, NULL), AMB_OK);
    }
    CHECK_INT(amb_shutdown(60000), AMB_OK);
    for (int at = 0; at < 50; at++) {
        CHECK_INT(told[at].result.status, AMB_OK);
        CHECK_INT(told[at].status, 201);
    }
    amb_proxy_free(proxy);
}

static int exit_status(pid_t child)
{
    int status = 0;
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    return WEXITSTATUS(status);
}

TEST(a_child_has_requests_of_its_own_and_leaves_its_parents_alone)
{
    struct event let_go = EVENT_NONE;
    struct server *server = server_of(charge, NULL), *slow = server_of(in_pieces, &let_go), *mute = server_of(silent, NULL);
    amb_options options = short_options(1);
    options.timeout_ms = AMB_NONE;
    amb_proxy *proxy = proxy_to(server->url, options), *slowly = proxy_to(slow->url, options), *never = proxy_to(mute->url, options);
    amb_http_request request = request_of("GET", "/");
    get_many(proxy);
    amb_response *whole = NULL, *streamed = NULL;
    CHECK_INT(amb_http_send(proxy, &request, &whole, NULL), AMB_OK);
    struct told told = NOT_TOLD;
    amb_call *call = NULL;
    CHECK_INT(amb_http_spawn(never, &request, on_done, &told, destroyed, &call), AMB_OK);
    request.stream = true;
    CHECK_INT(amb_http_send(slowly, &request, &streamed, NULL), AMB_OK);

    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        char buffer[8];
        CHECK_INT(amb_response_read(streamed, buffer, sizeof buffer), AMB_ERR_FORKED);
        CHECK_INT(amb_response_free(streamed), AMB_OK);
        CHECK_INT(amb_call_cancel(call), AMB_ERR_FORKED);
        /* What is in memory is the child's as well. */
        body_is(whole, "charged");
        CHECK_INT(amb_response_free(whole), AMB_OK);
        get_many(proxy);
        _exit(7);
    }
    CHECK_INT(exit_status(child), 7);
    for (int piece = 0; piece < 4; piece++)
        event_happened(&let_go);
    char buffer[32];
    size_t length = 0;
    for (int64_t count; (count = amb_response_read(streamed, buffer + length, sizeof buffer - length)) > 0;)
        length += (size_t)count;
    CHECK_INT(length, 18);
    CHECK_INT(amb_response_free(streamed), AMB_OK);
    CHECK_INT(amb_response_free(whole), AMB_OK);
    CHECK_INT(amb_call_cancel(call), AMB_OK);
    event_wait(&told.gone, 1);
    CHECK_INT(told.result.status, AMB_CANCELLED);
    CHECK_INT(requests_of(server), 101);
    amb_proxy_free(proxy);
    amb_proxy_free(slowly);
    amb_proxy_free(never);
}

/* ------------------------------------------------------------------------------------------ arguments */

static void refused(amb_proxy *proxy, amb_http_request request, const char *why)
{
    struct upload *upload = request.read_data;
    amb_response *response = (amb_response *)1;
    CHECK_INT(amb_http_send(proxy, &request, &response, NULL), AMB_ERR_ARGUMENT);
    CHECK(response == NULL);
    CHECK(strstr(amb_last_error(), why) != NULL);
    struct told told = NOT_TOLD;
    amb_call *call = (amb_call *)1;
    CHECK_INT(amb_http_spawn(proxy, &request, on_done, &told, destroyed, &call), AMB_ERR_ARGUMENT);
    CHECK(call == NULL && atomic_load(&told.destroyed) == 0);
    CHECK(upload == NULL || atomic_load(&upload->destroyed) == 0);
}

TEST(arguments_that_cannot_be_used_are_named_and_nothing_is_sent)
{
    struct server *server = server_of(charge, NULL);
    amb_proxy *proxy = proxy_to(server->url, short_options(1));
    amb_http_request request = request_of("GET", "/");
    refused(NULL, request, "proxy is null");
    request.size--;
    refused(proxy, request, "amb_http_request_init");
    refused(proxy, request_of("TWO WORDS", "/"), "\"TWO WORDS\" is none that a request can have");
    refused(proxy, request_of("CONNECT", "/"), "\"CONNECT\"");
    refused(proxy, request_of("GET", "charges"), "no path such as /charges/42");
    refused(proxy, request_of("GET", "/two words"), "no path such as /charges/42");
    refused(proxy, request_of("GET", "http://elsewhere.example.com/"), "no path such as /charges/42");
    request = request_of("GET", "/");
    request.headers_count = 1;
    refused(proxy, request, "headers are null");
    const amb_pair unnamed[] = {{NULL, "x"}}, two_words[] = {{"two words", "x"}}, two_lines[] = {{"x-team", "tok-7\r\nx: y"}};
    request.headers = unnamed;
    refused(proxy, request, "name or value is null");
    request.headers = two_words;
    refused(proxy, request, "\"two words\" is no name of a header");
    request.headers = two_lines;
    refused(proxy, request, "the value of the header x-team");
    CHECK(strstr(amb_last_error(), "tok-7") == NULL);
    request = request_of("POST", "/");
    request.body_length = 1;
    refused(proxy, request, "body is null");
    request = request_of("POST", "/");
    request.idempotent = 7;
    refused(proxy, request, "AMB_IDEMPOTENT_BY_METHOD");
    struct upload upload = {.left = 1};
    refused(proxy, with_body(uploading(&upload), "x"), "read besides");
    request = request_of("GET", "/");
    CHECK_INT(amb_http_send(proxy, &request, NULL, NULL), AMB_ERR_ARGUMENT);
    CHECK_TEXT(amb_last_error(), "amb_http_send: response is null");
    amb_response *response;
    CHECK_INT(amb_http_send(proxy, NULL, &response, NULL), AMB_ERR_ARGUMENT);
    CHECK_INT(amb_http_request_init(NULL), AMB_ERR_ARGUMENT);
    CHECK_INT(requests_of(server), 0);
    amb_proxy_free(proxy);
}

TEST(a_response_that_was_freed_or_is_none_is_refused)
{
    struct server *server = server_of(charge, NULL);
    amb_proxy *proxy = proxy_to(server->url, short_options(1));
    const amb_http_request request = request_of("GET", "/");
    amb_response *freed = NULL;
    CHECK_INT(amb_http_send(proxy, &request, &freed, NULL), AMB_OK);
    char buffer[8];
    CHECK_INT(amb_response_read(freed, NULL, 8), AMB_ERR_ARGUMENT);
    CHECK_INT(amb_response_read(freed, buffer, 0), AMB_ERR_ARGUMENT);
    CHECK_INT(amb_response_free(freed), AMB_OK);
    CHECK_INT(amb_response_free(freed), AMB_ERR_ARGUMENT);
    CHECK_INT(amb_response_free(NULL), AMB_OK);
    int something = 0;
    amb_response *const none[] = {NULL, freed, (amb_response *)(void *)&something};
    for (int at = 0; at < 3; at++) {
        CHECK_INT(amb_response_status(none[at]), 0);
        CHECK(amb_response_header(none[at], "x-charge") == NULL);
        const char *name, *value;
        CHECK(!amb_response_header_at(none[at], 0, &name, &value));
        size_t length = 7;
        CHECK(amb_response_body(none[at], &length) == NULL && length == 0);
        CHECK_INT(amb_response_read(none[at], buffer, sizeof buffer), AMB_ERR_ARGUMENT);
        CHECK_INT(amb_response_attempts(none[at]), 0);
        CHECK_TEXT(amb_response_endpoint(none[at]), "");
    }
    amb_proxy_free(proxy);
}

static bool large_head(struct server *server, int connection, const struct request *request)
{
    (void)server;
    char *header = malloc(1 << 20);
    CHECK(header != NULL);
    const size_t length = request->head[5] == 's' ? 8 << 10 : 1 << 20;
    memset(header, 'h', length);
    send_text(connection, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx-large: ");
    send_all(connection, header, length);
    free(header);
    return send_text(connection, "\r\n\r\n");
}

TEST(a_head_of_8_kilobytes_is_taken_and_one_of_a_megabyte_is_not)
{
    struct server *server = server_of(large_head, NULL);
    amb_set_log(NULL, NULL);
    amb_proxy *proxy = proxy_to(server->url, untiring_options(0));
    amb_http_request request = request_of("GET", "/small");
    amb_response *response = NULL;
    CHECK_INT(amb_http_send(proxy, &request, &response, NULL), AMB_OK);
    CHECK_INT(strlen(amb_response_header(response, "x-large")), 8 << 10);
    amb_response_free(response);
    request.path = "/large";
    CHECK_INT(amb_http_send(proxy, &request, &response, NULL), AMB_ERR_PROTOCOL);
    CHECK(strstr(amb_last_error(), "http.max_header_bytes") != NULL);
    amb_proxy_free(proxy);
}

/* ------------------------------------------------------------------------------------------ endpoints */

static int32_t endpoint_is(const amb_attempt *attempt, void *user_data)
{
    CHECK_TEXT(amb_attempt_endpoint(attempt), user_data);
    return 0;
}

TEST(endpoints_that_the_program_finds_take_the_place_of_others)
{
    struct server *one = server_of(charge, NULL), *two = server_of(charge, NULL);
    amb_proxy *proxy = proxy_to(one->url, short_options(1));
    get_many(proxy);
    const amb_endpoint endpoints[] = {{.url = two->url}};
    CHECK_INT(amb_proxy_set_endpoints(proxy, endpoints, 1), AMB_OK);
    get_many(proxy);
    CHECK_INT(requests_of(one), 50);
    CHECK_INT(requests_of(two), 50);
    CHECK_INT(amb_proxy_call(proxy, endpoint_is, two->url, NULL), AMB_OK);
    const amb_endpoint wrong[] = {{.url = "http://host/path"}};
    CHECK_INT(amb_proxy_set_endpoints(proxy, wrong, 1), AMB_ERR_CONFIG);
    CHECK_TEXT(amb_last_error_field(), "endpoints");
    CHECK_INT(amb_proxy_set_endpoints(proxy, NULL, 1), AMB_ERR_CONFIG);
    CHECK_INT(amb_proxy_set_endpoints(NULL, endpoints, 1), AMB_ERR_ARGUMENT);
    get_many(proxy);
    CHECK_INT(requests_of(two), 100);
    amb_proxy_free(proxy);
}

/* ------------------------------------------------------------------------------------------ for valgrind */

TEST(a_thousand_requests_leave_nothing_behind)
{
    struct server *server = server_of(charge, NULL);
    amb_set_log(NULL, NULL);
    amb_options options = untiring_options(0);
    const amb_endpoint endpoints[] = {{.url = nobody()}, {.url = server->url}};
    options.endpoints = endpoints;
    options.endpoints_count = 2;
    amb_proxy *proxy = proxy_to("http://payment-api.example.com", options);
    amb_http_request request = request_of("GET", "/");
    struct told told = NOT_TOLD;
    for (int at = 0; at < 200; at++) {
        amb_response *response = NULL;
        request.stream = at % 2 == 0;
        CHECK_INT(amb_http_send(proxy, &request, &response, NULL), AMB_OK);
        CHECK_TEXT(amb_response_header(response, "x-charge"), "42");
        char buffer[4];
        while (amb_response_read(response, buffer, sizeof buffer) > 0)
            continue;
        CHECK_INT(amb_response_free(response), AMB_OK);
        struct upload upload = {.left = 70000};
        const amb_http_request put = uploading(&upload);
        CHECK_INT(amb_http_send(proxy, &put, &response, NULL), AMB_OK);
        CHECK_INT(amb_response_free(response), AMB_OK);
        while (atomic_load(&upload.destroyed) == 0)
            sched_yield();
        amb_call *call = NULL;
        request.stream = false;
        CHECK_INT(amb_http_spawn(proxy, &request, on_done, &told, NULL, &call), AMB_OK);
        if (at % 2 == 0)
            amb_call_cancel(call);
        event_wait(&told.done, at + 1);
    }
    CHECK_INT(amb_proxy_free(proxy), AMB_OK);
    CHECK_INT(amb_shutdown(60000), AMB_OK);
}
