/*
 * Plays a script with the C library, in virtual time, and prints what happens, a line of JSON each: `streams SCRIPT`.
 */
#define _POSIX_C_SOURCE 200809L

#include <ambassador.h>

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FAILS = 1, FINAL = 2, MAX_LINE = 1024, MAX_WORDS = 32, MAX_WAITS = 256 };

/* One call: what its attempts do, and how many ran. */
struct call {
    char *attempts[MAX_WORDS];
    size_t count, ran;
};

static FILE *script;
static amb_options options;
static amb_proxy *proxy;
static unsigned calls;
static size_t waits;

static bool step(void);

/* Ends the program unless that holds. */
static void check(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "%s: %s\n", what, amb_last_error());
    exit(EXIT_FAILURE);
}

static int64_t nanoseconds(double ms)
{
    return llround(ms * 1e6);
}

static void tell_event(const char *event, void *data)
{
    (void)data;
    puts(event);
}

static void tell_waits(void)
{
    double all[MAX_WAITS];
    const size_t count = amb_test_virtual_time_waits(all, MAX_WAITS);
    check(count <= MAX_WAITS, "so many waits");
    for (; waits < count; waits++)
        printf("{\"wait_ns\":%" PRId64 "}\n", nanoseconds(all[waits]));
}

static void set(const char *name, const char *text)
{
    const struct {
        const char *name;
        double *number;
        int64_t *count;
        const char **text;
    } settings[] = {
        {"name", NULL, NULL, &options.name},
        {"max_retries", NULL, &options.max_retries, NULL},
        {"timeout_ms", &options.timeout_ms, NULL, NULL},
        {"deadline_ms", &options.deadline_ms, NULL, NULL},
        {"backoff.base_ms", &options.backoff.base_ms, NULL, NULL},
        {"backoff.factor", &options.backoff.factor, NULL, NULL},
        {"backoff.max_ms", &options.backoff.max_ms, NULL, NULL},
        {"backoff.jitter", NULL, NULL, &options.backoff.jitter},
        {"backoff.hint_max_ms", &options.backoff.hint_max_ms, NULL, NULL},
        {"budget.ratio", &options.budget.ratio, NULL, NULL},
        {"budget.min_per_second", &options.budget.min_per_second, NULL, NULL},
        {"budget.window_ms", &options.budget.window_ms, NULL, NULL},
        {"breaker.failure_rate", &options.breaker.failure_rate, NULL, NULL},
        {"breaker.min_calls", NULL, &options.breaker.min_calls, NULL},
        {"breaker.window_ms", &options.breaker.window_ms, NULL, NULL},
        {"breaker.open_for_ms", &options.breaker.open_for_ms, NULL, NULL},
        {"breaker.open_max_ms", &options.breaker.open_max_ms, NULL, NULL},
        {"breaker.probes", NULL, &options.breaker.probes, NULL},
        {"bulkhead.max_concurrent", NULL, &options.bulkhead.max_concurrent, NULL},
        {"bulkhead.max_queue", NULL, &options.bulkhead.max_queue, NULL},
        {"bulkhead.queue_timeout_ms", &options.bulkhead.queue_timeout_ms, NULL, NULL},
        {"rate_limit.rate", &options.rate_limit.rate, NULL, NULL},
        {"rate_limit.per_ms", &options.rate_limit.per_ms, NULL, NULL},
        {"rate_limit.burst", NULL, &options.rate_limit.burst, NULL},
        {"rate_limit.max_wait_ms", &options.rate_limit.max_wait_ms, NULL, NULL},
    };
    options.bulkhead.enabled |= strncmp(name, "bulkhead.", 9) == 0;
    options.rate_limit.enabled |= strncmp(name, "rate_limit.", 11) == 0;
    for (size_t at = 0; at < sizeof settings / sizeof *settings; at++) {
        if (strcmp(settings[at].name, name) != 0)
            continue;
        if (settings[at].number != NULL)
            *settings[at].number = strtod(text, NULL);
        else if (settings[at].count != NULL)
            *settings[at].count = strtoll(text, NULL, 10);
        else
            *settings[at].text = strdup(text);
        return;
    }
    check(false, name);
}

static int32_t classify(int32_t status, void *data)
{
    (void)data;
    return status == AMB_OK ? AMB_OUTCOME_OK : status == FINAL ? AMB_OUTCOME_FAIL : AMB_OUTCOME_RETRY;
}

static void make_proxy(void)
{
    const bool is_first = proxy == NULL;
    options.classify = classify;
    /* The one before, if any, lives as long as the program: so does whatever it shares. */
    check(amb_proxy_new("payment-api.example.com", &options, &proxy) == AMB_OK, "proxy");
    if (is_first)
        check(amb_proxy_on_event(proxy, tell_event, NULL) == AMB_OK, "on_event");
}

static int32_t attempt(const amb_attempt *attempt, void *data)
{
    struct call *call = data;
    tell_waits();
    if (call->ran++ >= call->count)
        return FAILS;
    char *rest, *end = strtok_r(call->attempts[call->ran - 1], ":", &rest);
    for (char *part; (part = strtok_r(NULL, ":", &rest)) != NULL;) {
        if (strcmp(part, "within") == 0)
            check(step(), "within");
        else if (strncmp(part, "takes=", 6) == 0)
            check(amb_test_virtual_time_advance_ms(strtod(part + 6, NULL)) == AMB_OK, part);
        else if (strncmp(part, "hint=", 5) == 0)
            amb_attempt_set_retry_after_ms(attempt, strtod(part + 5, NULL));
        else
            check(false, part);
    }
    return strcmp(end, "ok") == 0       ? AMB_OK
           : strcmp(end, "final") == 0  ? FINAL
           : strcmp(end, "cancel") == 0 ? AMB_CANCELLED
                                        : FAILS;
}

static const char *gives(int32_t status)
{
    switch (status) {
    case AMB_OK: return "value";
    case FAILS:
    case FINAL: return "error";
    case AMB_CANCELLED: return "cancelled";
    case AMB_ERR_TIMEOUT: return "TIMEOUT";
    case AMB_ERR_DEADLINE: return "DEADLINE";
    case AMB_ERR_SHUTDOWN: return "SHUTDOWN";
    case AMB_ERR_CIRCUIT_OPEN: return "CIRCUIT_OPEN";
    case AMB_ERR_BULKHEAD_FULL: return "BULKHEAD_FULL";
    case AMB_ERR_RATE_LIMITED: return "RATE_LIMITED";
    default: return "something else";
    }
}

static void make_call(struct call *call)
{
    const unsigned number = ++calls;
    const double begun = amb_test_virtual_time_elapsed_ms();
    amb_result result;
    amb_proxy_call(proxy, attempt, call, &result);
    tell_waits();
    const int64_t elapsed = nanoseconds(amb_test_virtual_time_elapsed_ms() - begun);
    printf("{\"call\":%u,\"gives\":\"%s\",\"attempts\":%zu,\"elapsed_ns\":%" PRId64, number, gives(result.status), call->ran, elapsed);
    if (result.retry_after_ms != AMB_NONE)
        printf(",\"retry_after_ns\":%" PRId64, nanoseconds(result.retry_after_ms));
    puts("}");
}

/* Takes the next step, if there is one. */
static bool step(void)
{
    char line[MAX_LINE], *word = NULL, *rest;
    while (word == NULL) {
        if (fgets(line, sizeof line, script) == NULL)
            return false;
        line[strcspn(line, "#\n")] = '\0';
        word = strtok_r(line, " ", &rest);
    }
    struct call call = {.count = 0};
    for (char *next; (next = strtok_r(NULL, " ", &rest)) != NULL && call.count < MAX_WORDS;)
        call.attempts[call.count++] = next;
    char *const *words = call.attempts;
    if (strcmp(word, "call") == 0)
        make_call(&call);
    else if (strcmp(word, "set") == 0 && call.count == 2)
        set(words[0], words[1]);
    else if (strcmp(word, "proxy") == 0)
        make_proxy();
    else if (strcmp(word, "seed") == 0 && call.count == 1)
        check(amb_test_seed_jitter(proxy, strtoull(words[0], NULL, 10)) == AMB_OK, "seed");
    else if (strcmp(word, "advance") == 0 && call.count == 1)
        check(amb_test_virtual_time_advance_ms(strtod(words[0], NULL)) == AMB_OK, "advance");
    else if (strcmp(word, "isolate") == 0)
        check(amb_proxy_isolate(proxy) == AMB_OK, "isolate");
    else if (strcmp(word, "reset") == 0)
        check(amb_proxy_reset(proxy) == AMB_OK, "reset");
    else if (strcmp(word, "shutdown") == 0)
        check(amb_shutdown(30000) == AMB_OK, "shutdown");
    else
        check(false, word);
    return true;
}

int main(int argc, char **argv)
{
    script = argc == 2 ? fopen(argv[1], "r") : NULL;
    check(script != NULL, "usage: streams SCRIPT");
    check(amb_test_virtual_time_start() == AMB_OK, "virtual time");
    amb_options_init(&options);
    while (step())
        ;
    amb_test_virtual_time_stop();
    fclose(script);
    return EXIT_SUCCESS;
}
