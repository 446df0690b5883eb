/*
 * A payment service over real HTTP: plain sockets inside amb_proxy_call(). Each call sends one idempotency key with all its
 * attempts, so that an answer lost on the way never charges twice. The ambassador decides whether, when and how often to try
 * again; the function heeds its bound by amb_attempt_remaining_ms().
 *
 * `payments-c [--calls N] URL`, where URL is a payment API as `ambassador demo` starts one. Four threads charge at once by
 * amb_proxy_call() rather than by amb_proxy_spawn(): a function that keeps to its bound needs no thread of the ambassador's,
 * and its data can live on its caller's stack. Retry lines go to stderr; the last line on stdout is a report in JSON.
 */
#define _POSIX_C_SOURCE 200809L

#include <ambassador.h>

#include "http.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#define AT_ONCE 4

/* The status of a failure below HTTP; any other is the HTTP status itself. */
enum { UNREACHABLE = 1 };

/* Charges orders. It knows the API, not how to reach it in bad times. */
struct payment_service {
    amb_proxy *ambassador;
    struct http_server server;
    int calls;
    uint32_t run;
    atomic_int next;
    atomic_int charged;
};

struct order {
    const struct payment_service *service;
    char name[64];
    double amount;
};

static int32_t do_charge(const amb_attempt *attempt, void *user_data)
{
    const struct order *order = user_data;
    char headers[1024] = "";
    const char *name, *value;
    for (size_t at = 0, used = 0; used < sizeof headers && amb_attempt_header_at(attempt, at, &name, &value); at++)
        used += (size_t)snprintf(headers + used, sizeof headers - used, "%s: %s\r\n", name, value);
    char json[160];
    snprintf(json, sizeof json, "{\"order\":\"%s\",\"amount\":%.2f}", order->name, order->amount);

    struct http_answer answer;
    const char *error = http_post(&order->service->server, "/charges", headers, json, amb_attempt_remaining_ms(attempt), &answer);
    if (error != NULL) {
        amb_attempt_set_error(attempt, error);
        return UNREACHABLE;
    }
    if (answer.retry_after_s >= 0)
        amb_attempt_set_retry_after_ms(attempt, answer.retry_after_s * 1e3);
    char receipt[96];
    snprintf(receipt, sizeof receipt, "\"order\":\"%s\"", order->name);
    if (answer.status / 100 == 2 && strstr(answer.body, receipt) != NULL)
        return AMB_OK;
    char message[64];
    snprintf(message, sizeof message, "the payment API answered with %d", answer.status);
    amb_attempt_set_error(attempt, message);
    return answer.status;
}

/* An order that the API calls wrong stays wrong; so does a receipt for another order. */
static int32_t may_be_tried_again(int32_t status, void *classify_data)
{
    (void)classify_data;
    if (status == AMB_OK)
        return AMB_OUTCOME_OK;
    return status == UNREACHABLE || status == 429 || status >= 500 ? AMB_OUTCOME_RETRY : AMB_OUTCOME_FAIL;
}

static void *charge_some(void *user_data)
{
    struct payment_service *service = user_data;
    for (int number; (number = atomic_fetch_add(&service->next, 1) + 1) <= service->calls;) {
        struct order order = {service, "", 99.99};
        snprintf(order.name, sizeof order.name, "c-%d-%08x", number, service->run);
        amb_result result;
        if (amb_proxy_call(service->ambassador, do_charge, &order, &result) == AMB_OK)
            atomic_fetch_add(&service->charged, 1);
        else
            fprintf(stderr, "%s: %s\n", order.name, result.message);
    }
    return NULL;
}

/* Charges them all; the report's counts are the ambassador's own. */
static int charge_all(struct payment_service *service)
{
    const double begun = http_now_ms();
    pthread_t tills[AT_ONCE];
    for (int till = 0; till < AT_ONCE; till++)
        if (pthread_create(&tills[till], NULL, charge_some, service) != 0)
            abort();
    for (int till = 0; till < AT_ONCE; till++)
        pthread_join(tills[till], NULL);
    const double seconds = (http_now_ms() - begun) / 1e3;

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
    if (argc == 4 && strcmp(argv[1], "--calls") == 0)
        service.calls = atoi(argv[2]);
    else if (argc != 2)
        service.calls = 0;
    if (service.calls < 1 || !http_server_of(argv[argc - 1], &service.server)) {
        fprintf(stderr, "usage: payments-c [--calls N] URL\n");
        return 2;
    }
    FILE *random = fopen("/dev/urandom", "rb");
    if (random == NULL || fread(&service.run, sizeof service.run, 1, random) != 1)
        return EXIT_FAILURE;
    fclose(random);

    amb_options options;
    amb_options_init(&options);
    options.max_retries = 6;
    options.timeout_ms = 400;
    options.backoff.base_ms = 50;
    options.backoff.max_ms = 500;
    options.backoff.jitter = "full";
    /* This API fails often, and is not down for that: only when nearly all fails. */
    options.breaker.failure_rate = 0.9;
    options.classify = may_be_tried_again;
    char target[sizeof service.server.host + sizeof service.server.port];
    snprintf(target, sizeof target, "%s:%s", service.server.host, service.server.port);
    if (amb_proxy_new(target, &options, &service.ambassador) != AMB_OK) {
        fprintf(stderr, "payments-c: %s\n", amb_last_error());
        return EXIT_FAILURE;
    }
    const int status = charge_all(&service);
    amb_proxy_free(service.ambassador);
    return status;
}
