/* Requests for 100 bytes from the server at the URL that is given, by libcurl and by ours, at 1 and at 64 at once: how many a second,
 * and what one costs this process of the processor's time. The best of some rounds counts. Prints a Markdown table. */
#include <ambassador.h>

#include <curl/curl.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { ROUNDS = 3, MANY = 64, EXPECTED = 100 };
static const double SECONDS = 1.0;

static void check(bool is_so, const char *what)
{
    if (!is_so) {
        fprintf(stderr, "not so: %s\n", what);
        exit(1);
    }
}

#define CHECK(CONDITION) check(CONDITION, #CONDITION)

static double now(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static double cpu(void)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) + (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

/* Makes requests until then, so many at once; how many it made. */
typedef long (*load)(const char *url, int at_once, double until);

/* ---------------------------------------------------------------- libcurl */

static size_t count_bytes(char *bytes, size_t size, size_t count, void *length)
{
    (void)bytes;
    *(size_t *)length += size * count;
    return size * count;
}

static CURL *easy(const char *url, size_t *length)
{
    CURL *handle = curl_easy_init();
    CHECK(handle != NULL);
    curl_easy_setopt(handle, CURLOPT_URL, url);
    curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, 2000L);
    curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, count_bytes);
    curl_easy_setopt(handle, CURLOPT_WRITEDATA, length);
    curl_easy_setopt(handle, CURLOPT_PRIVATE, length);
    return handle;
}

static long by_curl_easy(const char *url, int at_once, double until)
{
    (void)at_once;
    size_t length = 0;
    CURL *handle = easy(url, &length);
    long made = 0;
    for (; now() < until; made++) {
        length = 0;
        CHECK(curl_easy_perform(handle) == CURLE_OK && length == EXPECTED);
    }
    curl_easy_cleanup(handle);
    return made;
}

static long by_curl_multi(const char *url, int at_once, double until)
{
    CURLM *multi = curl_multi_init();
    CHECK(multi != NULL);
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)MANY);
    size_t lengths[MANY] = {0};
    CURL *handles[MANY];
    for (int at = 0; at < at_once; at++) {
        handles[at] = easy(url, &lengths[at]);
        curl_multi_add_handle(multi, handles[at]);
    }
    long made = 0;
    for (int running = at_once, left = 0; running > 0;) {
        CHECK(curl_multi_perform(multi, &running) == CURLM_OK);
        for (CURLMsg *message; (message = curl_multi_info_read(multi, &left)) != NULL;) {
            size_t *length = NULL;
            CURL *handle = message->easy_handle;
            curl_easy_getinfo(handle, CURLINFO_PRIVATE, (char **)&length);
            CHECK(message->data.result == CURLE_OK && *length == EXPECTED);
            *length = 0;
            made++;
            curl_multi_remove_handle(multi, handle);
            if (now() < until) {
                curl_multi_add_handle(multi, handle);
                running++;
            }
        }
        if (running > 0)
            CHECK(curl_multi_poll(multi, NULL, 0, 1000, NULL) == CURLM_OK);
    }
    for (int at = 0; at < at_once; at++)
        curl_easy_cleanup(handles[at]);
    curl_multi_cleanup(multi);
    return made;
}

/* ---------------------------------------------------------------- ours */

static amb_proxy *proxy_to(const char *url)
{
    amb_proxy *proxy = NULL;
    CHECK(amb_proxy_new(url, NULL, &proxy) == AMB_OK);
    return proxy;
}

static void check_response(amb_response *response)
{
    size_t length = 0;
    CHECK(amb_response_status(response) == 200 && amb_response_body(response, &length) != NULL && length == EXPECTED);
    amb_response_free(response);
}

struct sender {
    amb_proxy *proxy;
    double until;
    long made;
};

static void *send_on(void *data)
{
    struct sender *sender = data;
    amb_http_request request;
    amb_http_request_init(&request);
    for (; now() < sender->until; sender->made++) {
        amb_response *response = NULL;
        CHECK(amb_http_send(sender->proxy, &request, &response, NULL) == AMB_OK);
        check_response(response);
    }
    return NULL;
}

static long by_send(const char *url, int at_once, double until)
{
    amb_proxy *proxy = proxy_to(url);
    struct sender senders[MANY];
    pthread_t threads[MANY];
    for (int at = 0; at < at_once; at++)
        senders[at] = (struct sender){proxy, until, 0};
    for (int at = 1; at < at_once; at++)
        CHECK(pthread_create(&threads[at], NULL, send_on, &senders[at]) == 0);
    send_on(&senders[0]);
    long made = senders[0].made;
    for (int at = 1; at < at_once; at++) {
        pthread_join(threads[at], NULL);
        made += senders[at].made;
    }
    amb_proxy_free(proxy);
    return made;
}

struct spawned {
    amb_proxy *proxy;
    double until;
    atomic_long made;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    int running;
};

static void spawn_on(amb_response *response, const amb_result *result, void *data)
{
    struct spawned *spawned = data;
    if (response != NULL) {
        CHECK(result->status == AMB_OK);
        check_response(response);
        atomic_fetch_add_explicit(&spawned->made, 1, memory_order_relaxed);
    }
    if (now() < spawned->until) {
        amb_http_request request;
        amb_http_request_init(&request);
        CHECK(amb_http_spawn(spawned->proxy, &request, spawn_on, spawned, NULL, NULL) == AMB_OK);
        return;
    }
    pthread_mutex_lock(&spawned->lock);
    spawned->running--;
    pthread_cond_signal(&spawned->ended);
    pthread_mutex_unlock(&spawned->lock);
}

static long by_spawn(const char *url, int at_once, double until)
{
    struct spawned spawned = {proxy_to(url), until, 0, PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, at_once};
    for (int at = 0; at < at_once; at++)
        spawn_on(NULL, NULL, &spawned);
    pthread_mutex_lock(&spawned.lock);
    while (spawned.running > 0)
        pthread_cond_wait(&spawned.ended, &spawned.lock);
    pthread_mutex_unlock(&spawned.lock);
    amb_proxy_free(spawned.proxy);
    return spawned.made;
}

/* ---------------------------------------------------------------- rows */

struct row {
    const char *name;
    load load;
    double per_second, cpu;
};

static void measure(const char *url, int at_once, struct row *rows, int count)
{
    for (int round = 0; round < ROUNDS; round++)
        for (int at = 0; at < count; at++) {
            rows[at].load(url, at_once, now() + SECONDS / 10);
            const double begun = now(), used = cpu();
            const long made = rows[at].load(url, at_once, begun + SECONDS);
            const double per_second = (double)made / (now() - begun);
            if (per_second > rows[at].per_second) {
                rows[at].per_second = per_second;
                rows[at].cpu = (cpu() - used) / (double)made;
            }
        }
    printf("| C: requests for 100 bytes, %d at once | requests/s | CPU us/request | libcurl = 1 |\n| --- | ---: | ---: | ---: |\n", at_once);
    for (int at = 0; at < count; at++)
        printf("| %s | %.0f | %.1f | %.2f |\n", rows[at].name, rows[at].per_second, rows[at].cpu * 1e6,
               rows[at].per_second / rows[0].per_second);
    printf("\n");
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s URL\n", argv[0]);
        return 2;
    }
    curl_global_init(CURL_GLOBAL_DEFAULT);
    struct row one[] = {
        {"libcurl, `curl_easy_perform`", by_curl_easy, 0, 0},
        {"**Ambassador**, `amb_http_send`", by_send, 0, 0},
        {"**Ambassador**, `amb_http_spawn`", by_spawn, 0, 0},
    };
    struct row many[] = {
        {"libcurl, `curl_multi_perform` in one thread", by_curl_multi, 0, 0},
        {"**Ambassador**, `amb_http_spawn`", by_spawn, 0, 0},
        {"**Ambassador**, `amb_http_send` in 64 threads", by_send, 0, 0},
    };
    measure(argv[1], 1, one, sizeof one / sizeof *one);
    measure(argv[1], MANY, many, sizeof many / sizeof *many);
    return 0;
}
