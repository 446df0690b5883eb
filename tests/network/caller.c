/* An app: `caller CALLS THREADS BALANCE URL...` gets /charges/42 so often, from so many threads, of these endpoints; of others once it
 * reads a line of them. Says every thousand calls how many were made, and at its end what came of them, as a line of JSON. */
#include <ambassador.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MOST_ENDPOINTS 16
#define MOST_THREADS 64

static amb_proxy *proxy;
static long calls;
static atomic_long begun, ended;

/* What came of a call. */
struct call {
    double ended_ms, took_ms;
    int is_ok, endpoint;
};
static struct call *made;

/* Every endpoint that answered, by its number. */
static struct {
    pthread_mutex_t lock;
    char urls[MOST_ENDPOINTS][128];
    int count;
} known = {.lock = PTHREAD_MUTEX_INITIALIZER};

static int number_of(const char *url)
{
    int at = 0;
    pthread_mutex_lock(&known.lock);
    while (at < known.count && strcmp(known.urls[at], url) != 0)
        at++;
    if (at == known.count && at < MOST_ENDPOINTS)
        snprintf(known.urls[known.count++], sizeof known.urls[0], "%s", url);
    pthread_mutex_unlock(&known.lock);
    return at;
}

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1000 + (double)now.tv_nsec / 1e6;
}

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
    for (long number; (number = atomic_fetch_add(&begun, 1)) < calls;) {
        amb_response *response = NULL;
        amb_result result;
        const int32_t status = amb_http_send(proxy, &request, &response, &result);
        struct call *call = &made[number];
        call->is_ok = status == AMB_OK && amb_response_status(response) == 200;
        if (!call->is_ok)
            fprintf(stderr, "%s\n", result.message);
        call->endpoint = status == AMB_OK ? number_of(amb_response_endpoint(response)) : -1;
        call->took_ms = result.elapsed_ms;
        call->ended_ms = now_ms();
        amb_response_free(response);
        const long done = atomic_fetch_add(&ended, 1) + 1;
        if (done % 1000 == 0) {
            printf("%ld\n", done);
            fflush(stdout);
        }
    }
    return NULL;
}

/* Endpoints that are told while calls go on. */
static void *read_endpoints(void *data)
{
    (void)data;
    char line[2048];
    while (fgets(line, sizeof line, stdin) != NULL) {
        amb_endpoint endpoints[MOST_ENDPOINTS] = {{0}};
        size_t count = 0;
        char *rest = NULL;
        for (char *url = strtok_r(line, " \n", &rest); url != NULL && count < MOST_ENDPOINTS; url = strtok_r(NULL, " \n", &rest))
            endpoints[count++].url = url;
        if (amb_proxy_set_endpoints(proxy, endpoints, count) != AMB_OK)
            fprintf(stderr, "%s\n", amb_last_error());
    }
    return NULL;
}

static int by_time(const void *one, const void *other)
{
    const double left = *(const double *)one, right = *(const double *)other;
    return (left > right) - (left < right);
}

/* What came of the calls from the one of that number to another, in the order in which they began. */
static void tell_of(const char *name, long from, long to)
{
    double *times = malloc((size_t)(to - from) * sizeof *times), since = INFINITY, until = 0;
    long ok = 0, counts[MOST_ENDPOINTS] = {0};
    for (long at = from; at < to; at++) {
        times[at - from] = made[at].took_ms;
        ok += made[at].is_ok;
        const double began = made[at].ended_ms - made[at].took_ms;
        since = began < since ? began : since;
        until = made[at].ended_ms > until ? made[at].ended_ms : until;
        if (made[at].endpoint >= 0 && made[at].endpoint < MOST_ENDPOINTS)
            counts[made[at].endpoint]++;
    }
    qsort(times, (size_t)(to - from), sizeof *times, by_time);
    printf("\"%s\": {\"success\": %.6f, \"per_s\": %.0f, \"p50_ms\": %.2f, \"p99_ms\": %.2f, \"slowest_ms\": %.1f, \"at\": {", name,
           (double)ok / (double)(to - from), (double)(to - from) / (until - since) * 1000, times[(to - from) / 2],
           times[(to - from) * 99 / 100], times[to - from - 1]);
    for (int at = 0; at < known.count; at++)
        printf("%s\"%s\": %ld", at == 0 ? "" : ", ", known.urls[at], counts[at]);
    printf("}}, ");
    free(times);
}

int main(int argc, char **argv)
{
    if (argc < 5)
        return 2;
    calls = strtol(argv[1], NULL, 10);
    const long count = strtol(argv[2], NULL, 10);
    made = calloc((size_t)calls, sizeof *made);
    if (calls < 4 || count > MOST_THREADS || made == NULL)
        return 2;
    amb_endpoint endpoints[MOST_ENDPOINTS] = {{0}};
    amb_options options;
    amb_options_init(&options);
    options.timeout_ms = 500;
    options.backoff.base_ms = 1;
    options.endpoints = endpoints;
    options.balance = argv[3];
    for (int at = 4; at < argc && options.endpoints_count < MOST_ENDPOINTS; at++)
        endpoints[options.endpoints_count++].url = argv[at];
    amb_set_log(NULL, NULL);
    if (amb_proxy_new("http://payment-api.example.com", &options, &proxy) != AMB_OK
        || amb_proxy_on_event(proxy, hear, NULL) != AMB_OK) {
        fprintf(stderr, "%s\n", amb_last_error());
        return 1;
    }
    pthread_t threads[MOST_THREADS], reader;
    pthread_create(&reader, NULL, read_endpoints, NULL);
    pthread_detach(reader);
    for (long at = 0; at < count; at++)
        pthread_create(&threads[at], NULL, make_calls, NULL);
    for (long at = 0; at < count; at++)
        pthread_join(threads[at], NULL);
    printf("{");
    tell_of("all", 0, calls);
    tell_of("before", 0, calls / 4);
    tell_of("during", calls / 4, calls / 2);
    tell_of("after", calls / 2, calls);
    printf("\"calls\": %ld, \"ejected\": \"%s\", \"failures_before\": %ld, \"elsewhere\": %s}\n", atomic_load(&ended), seen.ejected,
           seen.failures, seen.elsewhere ? "true" : "false");
    return 0;
}
