/* An app: `caller CALLS THREADS URL...` gets /charges/42 so often, from so many threads, of these endpoints. Says every thousand calls how
 * many were made, and at its end what came of them, as a line of JSON. */
#include <ambassador.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static amb_proxy *proxy;
static long calls;
static atomic_long begun, ended, failed, slowest_us;

/* What the events tell until the first endpoint is ejected: how many attempts failed at each, and which it was. */
static struct {
    pthread_mutex_t lock;
    long failures;
    char failing[128], ejected[128];
    int elsewhere;
} seen = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* The text of a field, up to its closing quote. */
static void text_of(const char *event, const char *field, char *text, size_t size)
{
    const char *found = strstr(event, field);
    text[0] = '\0';
    if (found != NULL) {
        found += strlen(field);
        snprintf(text, size, "%.*s", (int)strcspn(found, "\""), found);
    }
}

static void hear(const char *event, void *data)
{
    (void)data;
    const int is_attempt = strstr(event, "\"type\":\"attempt\"") != NULL && strstr(event, "\"outcome\":\"ok\"") == NULL;
    const int is_ejection = strstr(event, "\"to\":\"ejected\"") != NULL;
    if (!is_attempt && !is_ejection)
        return;
    char endpoint[128];
    text_of(event, is_attempt ? "\"endpoint\":\"" : "\"address\":\"", endpoint, sizeof endpoint);
    pthread_mutex_lock(&seen.lock);
    if (seen.ejected[0] == '\0') {
        if (is_ejection)
            memcpy(seen.ejected, endpoint, sizeof endpoint);
        else {
            seen.elsewhere |= seen.failing[0] != '\0' && strcmp(seen.failing, endpoint) != 0;
            memcpy(seen.failing, endpoint, sizeof endpoint);
            seen.failures++;
        }
    }
    pthread_mutex_unlock(&seen.lock);
}

static void *make_calls(void *data)
{
    (void)data;
    amb_http_request request;
    amb_http_request_init(&request);
    request.path = "/charges/42";
    while (atomic_fetch_add(&begun, 1) < calls) {
        amb_response *response = NULL;
        amb_result result;
        const int32_t status = amb_http_send(proxy, &request, &response, &result);
        if (status != AMB_OK || amb_response_status(response) != 200) {
            atomic_fetch_add(&failed, 1);
            fprintf(stderr, "%s\n", result.message);
        }
        amb_response_free(response);
        const long us = (long)(result.elapsed_ms * 1000);
        long slowest = atomic_load(&slowest_us);
        while (us > slowest && !atomic_compare_exchange_weak(&slowest_us, &slowest, us))
            continue;
        const long done = atomic_fetch_add(&ended, 1) + 1;
        if (done % 1000 == 0) {
            printf("%ld\n", done);
            fflush(stdout);
        }
    }
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc < 4)
        return 2;
    calls = strtol(argv[1], NULL, 10);
    const long count = strtol(argv[2], NULL, 10);
    amb_endpoint endpoints[8] = {{0}};
    amb_options options;
    amb_options_init(&options);
    options.timeout_ms = 500;
    options.backoff.base_ms = 1;
    options.endpoints = endpoints;
    for (int at = 3; at < argc && options.endpoints_count < 8; at++)
        endpoints[options.endpoints_count++].url = argv[at];
    amb_set_log(NULL, NULL);
    if (amb_proxy_new("http://payment-api.example.com", &options, &proxy) != AMB_OK
        || amb_proxy_on_event(proxy, hear, NULL) != AMB_OK) {
        fprintf(stderr, "%s\n", amb_last_error());
        return 1;
    }
    pthread_t threads[64];
    for (long at = 0; at < count && at < 64; at++)
        pthread_create(&threads[at], NULL, make_calls, NULL);
    for (long at = 0; at < count && at < 64; at++)
        pthread_join(threads[at], NULL);
    printf("{\"calls\": %ld, \"failed\": %ld, \"slowest_ms\": %.1f, \"ejected\": \"%s\", \"failures_before\": %ld, \"elsewhere\": %s}\n",
           atomic_load(&ended), atomic_load(&failed), (double)atomic_load(&slowest_us) / 1000, seen.ejected, seen.failures,
           seen.elsewhere ? "true" : "false");
    return 0;
}
