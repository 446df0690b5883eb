/* Calls on the caller's thread: retries, waits, bounds, hints, classes of outcomes. */
#include "common.h"

#include <math.h>

CHECK_MAIN

TEST(a_call_that_succeeds_runs_once)
{
    amb_proxy *proxy = proxy_of(short_options(1));
    struct script script = {.statuses = {0}};
    amb_result result;
    CHECK_INT(amb_proxy_call(proxy, play, &script, &result), AMB_OK);
    CHECK_INT(script.ran, 1);
    CHECK_INT(result.status, AMB_OK);
    CHECK_INT(result.attempts, 1);
    CHECK_TEXT(result.message, "");
    amb_proxy_free(proxy);
}

TEST(the_status_of_the_last_attempt_comes_back)
{
    amb_proxy *proxy = proxy_of(short_options(1));
    struct script script = {.statuses = {7, 8, 9}, .error = "Payment API unreachable"};
    amb_result result;
    CHECK_INT(amb_proxy_call(proxy, play, &script, &result), 9);
    CHECK_INT(script.ran, 3);
    CHECK_INT(result.last_status, 9);
    CHECK_INT(result.attempts, 3);
    CHECK_TEXT(result.message, "Payment API unreachable");
    CHECK_INT(health_number(proxy, "\"calls\":{\"ok\":0,\"failure\":"), 1);
    CHECK_INT(health_number(proxy, "\"retries\":"), 2);
    amb_proxy_free(proxy);
}

TEST(the_retry_lines_are_exactly_those_of_the_schedule)
{
    amb_options options;
    amb_options_init(&options);
    options.backoff.jitter = "none";
    amb_proxy *proxy = proxy_of(options);
    struct lines lines = {.lock = PTHREAD_MUTEX_INITIALIZER};
    amb_set_log(keep_line, &lines);
    struct script script = {.statuses = {1, 1, 0}, .error = "Payment API unreachable"};
    const double began = now_ms();
    CHECK_INT(amb_proxy_call(proxy, play, &script, NULL), AMB_OK);
    CHECK(now_ms() - began >= 6000);
    CHECK_INT(lines.count, 2);
    CHECK_TEXT(lines.text[0], "[Ambassador] Retry 1 after 2s: Payment API unreachable");
    CHECK_TEXT(lines.text[1], "[Ambassador] Retry 2 after 4s: Payment API unreachable");
    amb_proxy_free(proxy);
}

TEST(a_failure_that_says_nothing_is_named_by_its_status)
{
    amb_proxy *proxy = proxy_of(short_options(1));
    struct lines lines = {.lock = PTHREAD_MUTEX_INITIALIZER};
    amb_set_log(keep_line, &lines);
    struct script script = {.statuses = {7, 0}};
    CHECK_INT(amb_proxy_call(proxy, play, &script, NULL), AMB_OK);
    CHECK_TEXT(lines.text[0], "[Ambassador] Retry 1 after 1ms: status 7");
    amb_proxy_free(proxy);
}

TEST(the_same_seed_gives_the_same_waits_as_in_every_language)
{
    amb_options options = short_options(40);
    options.backoff.jitter = "full";
    amb_proxy *proxy = proxy_of(options);
    struct lines lines = {.lock = PTHREAD_MUTEX_INITIALIZER};
    amb_set_log(keep_line, &lines);
    CHECK_INT(amb_test_seed_jitter(proxy, 1234567), AMB_OK);
    struct script script = {.statuses = {1, 1, 0}, .error = "x"};
    CHECK_INT(amb_proxy_call(proxy, play, &script, NULL), AMB_OK);
    /* SplitMix64 of that seed begins 6457827717110365317, 3203168211198807973: 0.350… of 40 ms, 0.173… of 80 ms. */
    CHECK_TEXT(lines.text[0], "[Ambassador] Retry 1 after 14ms: x");
    CHECK_TEXT(lines.text[1], "[Ambassador] Retry 2 after 13.89ms: x");
    amb_proxy_free(proxy);
}

TEST(silence_is_a_null_listener)
{
    CHECK_INT(amb_set_log(NULL, NULL), AMB_OK);
    CHECK(freopen("/dev/full", "w", stderr) != NULL);
    amb_proxy *proxy = proxy_of(short_options(1));
    struct script script = {.statuses = {1, 0}};
    CHECK_INT(amb_proxy_call(proxy, play, &script, NULL), AMB_OK);
    /* And the default one does not mind that its line cannot be written. */
    CHECK_INT(amb_set_log(amb_log_stderr, NULL), AMB_OK);
    script = (struct script){.statuses = {1, 0}};
    CHECK_INT(amb_proxy_call(proxy, play, &script, NULL), AMB_OK);
    amb_proxy_free(proxy);
}

struct seen {
    int ran;
    uint32_t numbers[3];
    char keys[3][64];
    char traces[3][64];
    char attempts[3][8];
    double remaining[3];
    int headers;
};

static int32_t look(const amb_attempt *attempt, void *user_data)
{
    struct seen *seen = user_data;
    const int at = seen->ran++;
    seen->numbers[at] = amb_attempt_number(attempt);
    snprintf(seen->keys[at], 64, "%s", amb_attempt_header(attempt, "Idempotency-Key"));
    snprintf(seen->traces[at], 64, "%s", amb_attempt_header(attempt, "traceparent"));
    snprintf(seen->attempts[at], 8, "%s", amb_attempt_header(attempt, "x-ambassador-attempt"));
    CHECK(amb_attempt_header(attempt, "authorization") == NULL);
    CHECK(amb_attempt_header(attempt, NULL) == NULL);
    CHECK_TEXT(amb_attempt_endpoint(attempt), "payment-api.example.com");
    CHECK(!amb_attempt_cancelled(attempt));
    seen->remaining[at] = amb_attempt_remaining_ms(attempt);
    const char *name, *value;
    seen->headers = 0;
    while (amb_attempt_header_at(attempt, (size_t)seen->headers, &name, &value)) {
        CHECK_TEXT(amb_attempt_header(attempt, name), value);
        seen->headers++;
    }
    return at == 2 ? 0 : 1;
}

TEST(an_attempt_knows_its_number_bound_and_headers)
{
    amb_options options = short_options(1);
    options.timeout_ms = 500;
    amb_proxy *proxy = proxy_of(options);
    struct seen first = {0}, second = {0};
    CHECK_INT(amb_proxy_call(proxy, look, &first, NULL), AMB_OK);
    CHECK_INT(amb_proxy_call(proxy, look, &second, NULL), AMB_OK);
    for (int at = 0; at < 3; at++) {
        CHECK_INT(first.numbers[at], at + 1);
        CHECK_INT(atoi(first.attempts[at]), at + 1);
        CHECK(first.remaining[at] > 0 && first.remaining[at] <= 500);
        CHECK_TEXT(first.keys[at], first.keys[0]);
        /* One trace, a span for each attempt: 00-<32>-<16>-01. */
        CHECK_INT(strlen(first.traces[at]), 55);
        CHECK_INT(strncmp(first.traces[at], first.traces[0], 35), 0);
    }
    CHECK(strcmp(first.traces[0], first.traces[1]) != 0);
    CHECK_INT(strlen(first.keys[0]), 36);
    CHECK(strcmp(first.keys[0], second.keys[0]) != 0);
    CHECK_INT(first.headers, 4);
    amb_proxy_free(proxy);

    options.timeout_ms = AMB_NONE;
    proxy = proxy_of(options);
    struct seen unbounded = {0};
    CHECK_INT(amb_proxy_call(proxy, look, &unbounded, NULL), AMB_OK);
    CHECK(isinf(unbounded.remaining[0]));
    CHECK_INT(unbounded.headers, 3);
    amb_proxy_free(proxy);
}

TEST(an_accessor_of_no_attempt_answers_with_nothing)
{
    const char *name, *value;
    CHECK_INT(amb_attempt_number(NULL), 0);
    CHECK_TEXT(amb_attempt_endpoint(NULL), "");
    CHECK(amb_attempt_remaining_ms(NULL) == 0);
    CHECK(amb_attempt_cancelled(NULL));
    CHECK(amb_attempt_header(NULL, "traceparent") == NULL);
    CHECK(!amb_attempt_header_at(NULL, 0, &name, &value));
    CHECK(amb_attempt_call(NULL) == NULL);
    amb_attempt_set_retry_after_ms(NULL, 1);
    amb_attempt_set_error(NULL, "nothing");
}

TEST(a_hint_raises_the_wait_and_garbage_does_not)
{
    amb_proxy *proxy = proxy_of(short_options(1));
    struct script script = {.statuses = {1, 0}, .retry_after_ms = 80};
    double began = now_ms();
    CHECK_INT(amb_proxy_call(proxy, play, &script, NULL), AMB_OK);
    CHECK(now_ms() - began >= 80);
    const double garbage[] = {-1, NAN, -INFINITY};
    for (int at = 0; at < 3; at++) {
        script = (struct script){.statuses = {1, 0}, .retry_after_ms = garbage[at]};
        CHECK_INT(amb_proxy_call(proxy, play, &script, NULL), AMB_OK);
    }
    amb_proxy_free(proxy);
}

TEST(a_hint_that_is_too_long_ends_the_call)
{
    amb_options options = short_options(1);
    options.backoff.hint_max_ms = 50;
    amb_proxy *proxy = proxy_of(options);
    const double hints[] = {50.001, INFINITY};
    for (int at = 0; at < 2; at++) {
        struct script script = {.statuses = {7, 0}, .retry_after_ms = hints[at]};
        CHECK_INT(amb_proxy_call(proxy, play, &script, NULL), 7);
        CHECK_INT(script.ran, 1);
    }
    amb_proxy_free(proxy);
}

TEST(a_call_never_sleeps_in_vain_before_its_deadline)
{
    amb_options options = short_options(60000);
    options.backoff.max_ms = 60000;
    options.deadline_ms = 30000;
    amb_proxy *proxy = proxy_of(options);
    struct script script = {.statuses = {7}};
    const double began = now_ms();
    CHECK_INT(amb_proxy_call(proxy, play, &script, NULL), 7);
    CHECK(now_ms() - began < 20000);
    amb_proxy_free(proxy);
}

/* Runs until the attempt is not wanted any more, then returns what it is told to. */
static int32_t until_cancelled(const amb_attempt *attempt, void *user_data)
{
    while (!amb_attempt_cancelled(attempt)) {
    }
    CHECK(amb_attempt_remaining_ms(attempt) == 0);
    return *(int32_t *)user_data;
}

TEST(what_ends_after_its_bound_is_a_timeout_whatever_it_is)
{
    amb_options options = short_options(1);
    options.timeout_ms = 20;
    options.max_retries = 2;
    amb_proxy *proxy = proxy_of(options);
    for (int32_t status = 0; status < 2; status++) {
        amb_result result;
        const double began = now_ms();
        CHECK_INT(amb_proxy_call(proxy, until_cancelled, &status, &result), AMB_ERR_TIMEOUT);
        CHECK(now_ms() - began >= 41);
        CHECK_INT(result.attempts, 2);
        CHECK(strstr(result.message, "payment-api.example.com: attempt 2 of 2 did not end within 20ms") == result.message);
    }
    CHECK_INT(health_number(proxy, "\"late_results\":"), 4);
    amb_proxy_free(proxy);
}

TEST(the_deadline_wins_over_the_timeout)
{
    amb_options options = short_options(1);
    options.timeout_ms = 10000;
    options.deadline_ms = 20;
    amb_proxy *proxy = proxy_of(options);
    int32_t status = 0;
    amb_result result;
    CHECK_INT(amb_proxy_call(proxy, until_cancelled, &status, &result), AMB_ERR_DEADLINE);
    CHECK_INT(result.attempts, 1);
    amb_proxy_free(proxy);
}

/* Ends within 100 µs of its bound: before or after, by turns of a small random generator. */
static int32_t around_the_bound(const amb_attempt *attempt, void *user_data)
{
    uint32_t *state = user_data;
    *state = *state * 1664525u + 1013904223u;
    const double until = now_ms() + amb_attempt_remaining_ms(attempt) - 0.1 + (double)(*state >> 8) / (double)(1 << 24) * 0.2;
    while (now_ms() < until) {
    }
    return 0;
}

TEST(a_hundred_thousand_calls_that_end_at_their_bound_bring_a_value_or_a_timeout)
{
    amb_options options = untiring_options(0);
    options.timeout_ms = 0.1;
    options.max_retries = 1;
    amb_proxy *proxy = proxy_of(options);
    uint32_t state = 1;
    long values = 0, timeouts = 0;
    for (int call = 0; call < 100000; call++) {
        const int32_t status = amb_proxy_call(proxy, around_the_bound, &state, NULL);
        CHECK(status == AMB_OK || status == AMB_ERR_TIMEOUT);
        status == AMB_OK ? values++ : timeouts++;
    }
    printf("%ld values, %ld timeouts\n", values, timeouts);
    CHECK(values > 0 && timeouts > 0);
    CHECK_INT(health_number(proxy, "\"calls\":{\"ok\":"), values);
    CHECK_INT(health_number(proxy, "\"late_results\":"), timeouts);
    CHECK_INT(health_number(proxy, "\"in_flight\":"), 0);
    amb_proxy_free(proxy);
}

TEST(control_flow_is_not_tried_again)
{
    amb_proxy *proxy = proxy_of(short_options(1));
    struct script script = {.statuses = {AMB_CANCELLED}};
    CHECK_INT(amb_proxy_call(proxy, play, &script, NULL), AMB_CANCELLED);
    CHECK_INT(script.ran, 1);
    CHECK_INT(health_number(proxy, "\"rejected\":0,\"cancelled\":"), 1);
    amb_proxy_free(proxy);
}

TEST(control_flow_ends_the_call_however_late_it_comes)
{
    amb_options options = short_options(0);
    options.timeout_ms = 20;
    amb_proxy *proxy = proxy_of(options);
    int32_t status = AMB_CANCELLED;
    amb_result result;
    CHECK_INT(amb_proxy_call(proxy, until_cancelled, &status, &result), AMB_CANCELLED);
    CHECK_INT(result.attempts, 1);
    CHECK_INT(result.last_status, AMB_CANCELLED);
    CHECK_INT(health_number(proxy, "\"rejected\":0,\"cancelled\":"), 1);
    amb_proxy_free(proxy);
}

struct stopped {
    struct event started;
    amb_call *call;
};

static int32_t start_and_fail(const amb_attempt *attempt, void *user_data)
{
    struct stopped *stopped = user_data;
    stopped->call = amb_attempt_call(attempt);
    event_happened(&stopped->started);
    return 1;
}

static void *stop_when_started(void *user_data)
{
    struct stopped *stopped = user_data;
    event_wait(&stopped->started, 1);
    CHECK_INT(amb_call_cancel(stopped->call), AMB_OK);
    return NULL;
}

TEST(a_wait_ends_at_once_when_the_call_is_cancelled_from_another_thread)
{
    amb_options options = short_options(30000);
    amb_proxy *proxy = proxy_of(options);
    struct stopped stopped = {.started = EVENT_NONE};
    pthread_t thread;
    CHECK_INT(pthread_create(&thread, NULL, stop_when_started, &stopped), 0);
    const double began = now_ms();
    amb_result result;
    CHECK_INT(amb_proxy_call(proxy, start_and_fail, &stopped, &result), AMB_CANCELLED);
    CHECK(now_ms() - began < 10000);
    CHECK_INT(result.attempts, 1);
    CHECK_INT(result.last_status, 1);
    pthread_join(thread, NULL);
    CHECK_INT(amb_call_cancel(stopped.call), AMB_ERR_ARGUMENT);
    amb_proxy_free(proxy);
}

static int32_t cancel_and_fail(const amb_attempt *attempt, void *user_data)
{
    ++*(int *)user_data;
    CHECK_INT(amb_call_cancel(amb_attempt_call(attempt)), AMB_OK);
    return 7;
}

TEST(a_cancelled_call_is_not_tried_again_though_there_is_no_wait_to_cut_short)
{
    for (int attempts = 1; attempts <= 3; attempts++) {
        amb_options options = short_options(0);
        options.max_retries = attempts;
        options.name = "cancelled without a wait";
        amb_proxy *proxy = proxy_of(options);
        int ran = 0;
        amb_result result;
        CHECK_INT(amb_proxy_call(proxy, cancel_and_fail, &ran, &result), AMB_CANCELLED);
        CHECK_INT(ran, 1);
        CHECK_INT(result.attempts, 1);
        CHECK_INT(result.last_status, 7);
        CHECK_INT(health_number(proxy, "\"rejected\":0,\"cancelled\":"), 1);
        amb_proxy_free(proxy);
    }
}

struct overrun {
    int32_t status;
    int ran;
};

static int32_t cancel_and_overrun(const amb_attempt *attempt, void *user_data)
{
    struct overrun *overrun = user_data;
    overrun->ran++;
    CHECK_INT(amb_call_cancel(amb_attempt_call(attempt)), AMB_OK);
    while (amb_attempt_remaining_ms(attempt) > 0) {
    }
    return overrun->status;
}

TEST(a_cancelled_call_is_not_tried_again_though_its_function_outran_its_bound)
{
    for (int attempts = 1; attempts <= 3; attempts++)
        for (int32_t status = 0; status < 2; status++) {
            amb_options options = short_options(0);
            options.timeout_ms = 20;
            options.max_retries = attempts;
            options.name = "cancelled and late";
            amb_proxy *proxy = proxy_of(options);
            struct overrun overrun = {.status = status};
            amb_result result;
            CHECK_INT(amb_proxy_call(proxy, cancel_and_overrun, &overrun, &result), AMB_CANCELLED);
            CHECK_INT(overrun.ran, 1);
            CHECK_INT(result.attempts, 1);
            /* What it returned came too late. */
            CHECK_INT(result.last_status, 0);
            CHECK_INT(health_number(proxy, "\"late_results\":"), 1);
            CHECK_INT(health_number(proxy, "\"rejected\":0,\"cancelled\":"), 1);
            CHECK_INT(health_number(proxy, "\"retries\":"), 0);
            amb_proxy_free(proxy);
        }
}

struct at_the_bound {
    uint32_t state;
    int ran;
};

static int32_t cancel_around_the_bound(const amb_attempt *attempt, void *user_data)
{
    struct at_the_bound *at = user_data;
    at->ran++;
    CHECK_INT(amb_call_cancel(amb_attempt_call(attempt)), AMB_OK);
    return around_the_bound(attempt, &at->state);
}

TEST(twenty_thousand_cancelled_calls_that_end_at_their_bound_are_each_run_once)
{
    amb_options options = short_options(0);
    options.timeout_ms = 0.1;
    amb_proxy *proxy = proxy_of(options);
    struct at_the_bound at = {.state = 1};
    long values = 0, cancelled = 0;
    for (int call = 1; call <= 20000; call++) {
        const int32_t status = amb_proxy_call(proxy, cancel_around_the_bound, &at, NULL);
        CHECK(status == AMB_OK || status == AMB_CANCELLED);
        status == AMB_OK ? values++ : cancelled++;
        CHECK_INT(at.ran, call);
    }
    printf("%ld values, %ld cancelled\n", values, cancelled);
    CHECK(values > 0 && cancelled > 0);
    CHECK_INT(health_number(proxy, "\"calls\":{\"ok\":"), values);
    CHECK_INT(health_number(proxy, "\"late_results\":"), cancelled);
    amb_proxy_free(proxy);
}

static int32_t give_handle_and_fail(const amb_attempt *attempt, void *user_data)
{
    *(amb_call **)user_data = amb_attempt_call(attempt);
    return 7;
}

static void cancel_at_the_line(const char *line, void *log_data)
{
    CHECK(strstr(line, "Retry 1") != NULL);
    CHECK_INT(amb_call_cancel(*(amb_call **)log_data), AMB_OK);
}

TEST(a_call_that_is_cancelled_between_two_attempts_begins_no_other)
{
    amb_proxy *proxy = proxy_of(short_options(0));
    amb_call *call = NULL;
    amb_set_log(cancel_at_the_line, &call);
    amb_result result;
    CHECK_INT(amb_proxy_call(proxy, give_handle_and_fail, &call, &result), AMB_CANCELLED);
    CHECK_INT(result.attempts, 1);
    CHECK_INT(result.last_status, 7);
    amb_proxy_free(proxy);
}

static int32_t cancel_and_succeed(const amb_attempt *attempt, void *user_data)
{
    return cancel_and_fail(attempt, user_data) - 7;
}

TEST(a_cancelled_call_whose_function_succeeds_all_the_same_is_a_success)
{
    amb_proxy *proxy = proxy_of(short_options(0));
    int ran = 0;
    CHECK_INT(amb_proxy_call(proxy, cancel_and_succeed, &ran, NULL), AMB_OK);
    CHECK_INT(ran, 1);
    amb_proxy_free(proxy);
}

static int32_t by_kind(int32_t status, void *classify_data)
{
    ++*(int *)classify_data;
    switch (status) {
    case 0:
    case 20:
        return AMB_OUTCOME_OK;
    case 40:
        return AMB_OUTCOME_FAIL;
    case 99:
        return 12345; /* no outcome: as any failure */
    default:
        return AMB_OUTCOME_RETRY;
    }
}

TEST(a_classifier_tells_failures_apart)
{
    int asked = 0;
    amb_options options = short_options(1);
    options.classify = by_kind;
    options.classify_data = &asked;
    amb_proxy *proxy = proxy_of(options);
    struct script refused = {.statuses = {50, 40}};
    CHECK_INT(amb_proxy_call(proxy, play, &refused, NULL), 40);
    CHECK_INT(refused.ran, 2);
    struct script fine = {.statuses = {20}, .error = "nothing went wrong"};
    amb_result result;
    CHECK_INT(amb_proxy_call(proxy, play, &fine, &result), 20);
    CHECK_INT(fine.ran, 1);
    CHECK_INT(result.last_status, 20);
    CHECK_TEXT(result.message, "");
    struct script odd = {.statuses = {99, 99, 0}};
    CHECK_INT(amb_proxy_call(proxy, play, &odd, NULL), AMB_OK);
    CHECK_INT(odd.ran, 3);
    CHECK_INT(asked, 6);
    amb_proxy_free(proxy);
}

static int32_t zero_is_none(int32_t status, void *classify_data)
{
    (void)classify_data;
    return status == 0 ? AMB_OUTCOME_RETRY : AMB_OUTCOME_OK;
}

TEST(a_zero_that_the_classifier_calls_a_failure_is_told_as_one)
{
    amb_options options = short_options(1);
    options.classify = zero_is_none;
    amb_proxy *proxy = proxy_of(options);
    struct lines lines = {.lock = PTHREAD_MUTEX_INITIALIZER};
    amb_set_log(keep_line, &lines);
    struct script script = {.statuses = {0}};
    amb_result result;
    CHECK_INT(amb_proxy_call(proxy, play, &script, &result), 0);
    CHECK_INT(script.ran, 3);
    CHECK_TEXT(result.message, "status 0");
    CHECK_TEXT(lines.text[0], "[Ambassador] Retry 1 after 1ms: status 0");
    amb_proxy_free(proxy);
}

TEST(a_message_that_is_too_long_ends_with_a_whole_character)
{
    char error[300];
    for (size_t shift = 0; shift < 2; shift++) {
        /* Of two bytes each, after none or one. */
        memset(error, 'x', shift);
        for (size_t at = shift; at + 2 < sizeof error; at += 2)
            memcpy(error + at, "\xc3\xa4", 3);
        amb_proxy *proxy = proxy_of(short_options(0));
        struct script script = {.statuses = {7, 7, 7}, .error = error};
        amb_result result;
        CHECK_INT(amb_proxy_call(proxy, play, &script, &result), 7);
        CHECK_INT(strlen(result.message), shift == 0 ? AMB_MESSAGE_SIZE - 2 : AMB_MESSAGE_SIZE - 1);
        CHECK_INT(strncmp(result.message, error, strlen(result.message)), 0);
        amb_proxy_free(proxy);
    }
}

struct nested {
    amb_proxy *proxy;
    int depth;
    int ran;
};

/* Calls the same proxy again, and fails once at each depth, so that waits nest as well. */
static int32_t nest(const amb_attempt *attempt, void *user_data)
{
    struct nested *nested = user_data;
    nested->ran++;
    if (amb_attempt_number(attempt) == 1)
        return 1;
    if (nested->depth == 0)
        return 0;
    struct nested inner = {nested->proxy, nested->depth - 1, 0};
    const int32_t status = amb_proxy_call(nested->proxy, nest, &inner, NULL);
    nested->ran += inner.ran;
    return status;
}

TEST(a_function_may_call_the_same_proxy_again)
{
    struct nested nested = {proxy_of(short_options(2)), 3, 0};
    CHECK_INT(amb_proxy_call(nested.proxy, nest, &nested, NULL), AMB_OK);
    CHECK_INT(nested.ran, 8);
    CHECK_INT(health_number(nested.proxy, "\"calls\":{\"ok\":"), 4);
    amb_proxy_free(nested.proxy);
}

TEST(a_fault_of_the_core_loses_no_call_and_runs_none_twice)
{
    const char *const places[] = {"begin", "settle", "resume"};
    for (int at = 0; at < 3; at++) {
        amb_proxy *proxy = proxy_of(short_options(1));
        const long faults = health_number(proxy, "\"internal_errors\":");
        amb_test_inject_panic(places[at]);
        struct script fine = {.statuses = {0}};
        CHECK_INT(amb_proxy_call(proxy, play, &fine, NULL), AMB_OK);
        CHECK_INT(fine.ran, 1);
        struct script failing = {.statuses = {7, 8, 9}};
        CHECK_INT(amb_proxy_call(proxy, play, &failing, NULL), 7);
        CHECK_INT(failing.ran, 1);
        amb_test_inject_panic(NULL);
        CHECK_INT(health_number(proxy, "\"internal_errors\":") - faults, at == 2 ? 1 : 2);
        CHECK_INT(health_number(proxy, "\"in_flight\":"), 0);
        amb_proxy_free(proxy);
    }
}

static void *many_calls(void *user_data)
{
    for (int call = 0; call < 1000; call++) {
        struct script script = {.statuses = {call % 2, 0}};
        CHECK_INT(amb_proxy_call(user_data, play, &script, NULL), AMB_OK);
    }
    return NULL;
}

TEST(sixty_four_threads_share_a_proxy)
{
    amb_set_log(NULL, NULL);
    amb_proxy *proxy = proxy_of(untiring_options(0));
    pthread_t threads[64];
    for (int at = 0; at < 64; at++)
        CHECK_INT(pthread_create(&threads[at], NULL, many_calls, proxy), 0);
    for (int at = 0; at < 64; at++)
        pthread_join(threads[at], NULL);
    CHECK_INT(health_number(proxy, "\"calls\":{\"ok\":"), 64000);
    CHECK_INT(health_number(proxy, "\"retries\":"), 32000);
    amb_proxy_free(proxy);
}
