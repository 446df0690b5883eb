/*
 * A payment service: the service posts its orders, and the ambassador does the networking. It chooses one of the API's endpoints,
 * sends one idempotency key with all attempts of a call, so that an answer lost on the way never charges twice, and decides
 * whether, when and where to try again.
 *
 * `payments-c [--calls N] URL...`, where the URLs are the endpoints of a payment API as `ambassador demo` starts one. Four threads
 * charge at once. Retry lines go to stderr; the last line on stdout is a report in JSON.
 */
#define _POSIX_C_SOURCE 200809L

#include <ambassador.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define AT_ONCE 4
#define MOST_ENDPOINTS 16

/* Charges orders. It knows the API, not how to reach it. */
struct payment_service {
    amb_proxy *ambassador;
    int calls;
    uint32_t run;
    atomic_int next;
    atomic_int charged;
};

/* Whether the order is charged; if not, why not is said. */
static bool charge(const struct payment_service *service, const char *order, double amount)
{
    char json[160], receipt[96];
    const int length = snprintf(json, sizeof json, "{\"order\":\"%s\",\"amount\":%.2f}", order, amount);
    snprintf(receipt, sizeof receipt, "\"order\":\"%s\"", order);
    const amb_pair headers[] = {{"content-type", "application/json"}};

    amb_http_request request;
    amb_http_request_init(&request);
    request.method = "POST";
    request.path = "/charges";
    request.headers = headers;
    request.headers_count = 1;
    request.body = json;
    request.body_length = (size_t)length;

    amb_response *response = NULL;
    amb_result result;
    if (amb_http_send(service->ambassador, &request, &response, &result) != AMB_OK) {
        fprintf(stderr, "%s: %s\n", order, result.message);
        return false;
    }
    const int status = amb_response_status(response);
    size_t size = 0;
    const char *body = amb_response_body(response, &size);
    char answer[512];
    snprintf(answer, sizeof answer, "%.*s", (int)(size < sizeof answer ? size : sizeof answer - 1), body);
    amb_response_free(response);
    const bool is_charged = status / 100 == 2 && strstr(answer, receipt) != NULL;
    if (!is_charged)
        fprintf(stderr, "%s: the payment API answered with %d\n", order, status);
    return is_charged;
}

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void *charge_some(void *user_data)
{
    struct payment_service *service = user_data;
    for (int number; (number = atomic_fetch_add(&service->next, 1) + 1) <= service->calls;) {
        char order[64];
        snprintf(order, sizeof order, "c-%d-%08x", number, service->run);
        if (charge(service, order, 99.99))
            atomic_fetch_add(&service->charged, 1);
    }
    return NULL;
}

/* Charges them all; the report's counts are the ambassador's own. */
static int charge_all(struct payment_service *service)
{
    const double begun = now_ms();
    pthread_t tills[AT_ONCE];
    for (int till = 0; till < AT_ONCE; till++)
        if (pthread_create(&tills[till], NULL, charge_some, service) != 0)
            abort();
    for (int till = 0; till < AT_ONCE; till++)
        pthread_join(tills[till], NULL);
    const double seconds = (now_ms() - begun) / 1e3;

    char *health = amb_proxy_health(service->ambassador);
    const char *counts = health == NULL ? NULL : strstr(health, "\"attempts\":");
    unsigned long ok = 0, failure = 0, timeout = 0, cancelled = 0, retries = 0;
    const int known = counts == NULL ? 0
                                     : sscanf(counts, "\"attempts\":{\"ok\":%lu,\"failure\":%lu,\"timeout\":%lu,\"cancelled\":%lu},\"retries\":%lu",
                                              &ok, &failure, &timeout, &cancelled, &retries);
    amb_string_free(health);
    if (known != 5) {
        fprintf(stderr, "payments-c: the ambassador's health cannot be read\n");
        return EXIT_FAILURE;
    }
    const int charged = atomic_load(&service->charged);
    printf("{\"language\":\"C\",\"calls\":%d,\"attempts\":%lu,\"retries\":%lu,\"timeouts\":%lu,\"charged\":%d,\"failed\":%d,\"seconds\":%.3f}\n",
           service->calls, ok + failure + timeout + cancelled, retries, timeout, charged, service->calls - charged, seconds);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    struct payment_service service = {.calls = 40};
    amb_endpoint endpoints[MOST_ENDPOINTS] = {{0}};
    size_t endpoints_count = 0;
    for (int at = 1; at < argc; at++) {
        if (strcmp(argv[at], "--calls") == 0 && at + 1 < argc)
            service.calls = atoi(argv[++at]);
        else if (argv[at][0] != '-' && endpoints_count < MOST_ENDPOINTS)
            endpoints[endpoints_count++].url = argv[at];
        else
            service.calls = 0;
    }
    if (service.calls < 1 || endpoints_count == 0) {
        fprintf(stderr, "usage: payments-c [--calls N] URL...\n");
        return 2;
    }
    FILE *random = fopen("/dev/urandom", "rb");
    if (random == NULL || fread(&service.run, sizeof service.run, 1, random) != 1)
        return EXIT_FAILURE;
    fclose(random);

    amb_options options;
    amb_options_init(&options);
    options.endpoints = endpoints;
    options.endpoints_count = endpoints_count;
    options.idempotency_key = "auto";
    options.max_retries = 6;
    options.timeout_ms = 400;
    options.backoff.base_ms = 50;
    options.backoff.max_ms = 500;
    /* This API fails often, and is not down for that: only when nearly all fails. */
    options.breaker.failure_rate = 0.9;
    if (amb_proxy_new("http://payment-api.example.com", &options, &service.ambassador) != AMB_OK) {
        fprintf(stderr, "payments-c: %s\n", amb_last_error());
        return EXIT_FAILURE;
    }
    const int status = charge_all(&service);
    amb_proxy_free(service.ambassador);
    return status;
}
