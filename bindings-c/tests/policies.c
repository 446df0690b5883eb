/* The breaker, the budget and the limits as C sees them, and the events that tell of them. What they decide is the core's. */
#include "common.h"

#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

CHECK_MAIN

static int32_t give(const amb_attempt *attempt, void *user_data)
{
    (void)attempt;
    return *(int32_t *)user_data;
}

/* Makes so many calls that end so. */
static void calls(amb_proxy *proxy, int count, int32_t status)
{
    for (int call = 0; call < count; call++)
        CHECK_INT(amb_proxy_call(proxy, give, &status, NULL), status);
}

static amb_options single_options(const char *name)
{
    amb_options options = short_options(0);
    options.max_retries = 1;
    options.name = name;
    return options;
}

/* ---------------------------------------------------------------- the breaker */

TEST(an_open_circuit_refuses_and_says_when_to_come_again)
{
    CHECK_INT(amb_test_virtual_time_start(), AMB_OK);
    amb_options options = single_options("opens");
    options.breaker.min_calls = 4;
    options.breaker.probes = 1;
    amb_proxy *proxy = proxy_of(options);
    calls(proxy, 4, 7);
    struct script script = {.statuses = {0}};
    amb_result result;
    amb_test_virtual_time_advance_ms(1000);
    CHECK_INT(amb_proxy_call(proxy, play, &script, &result), AMB_ERR_CIRCUIT_OPEN);
    CHECK_INT(script.ran, 0);
    CHECK_INT(result.attempts, 0);
    CHECK_INT(result.last_status, 0);
    CHECK(result.retry_after_ms == 4000 && result.elapsed_ms == 0);
    CHECK(strstr(result.message, "payment-api.example.com: the circuit breaker refused") == result.message);
    CHECK(strstr(result.message, "(again in 4s)") != NULL);
    amb_test_virtual_time_advance_ms(result.retry_after_ms);
    CHECK_INT(amb_proxy_call(proxy, play, &script, &result), AMB_OK);
    CHECK(result.retry_after_ms == AMB_NONE);
    CHECK_INT(health_number(proxy, "\"circuit_open\":"), 1);
    amb_proxy_free(proxy);
    amb_test_virtual_time_stop();
}

TEST(a_failure_of_the_functions_own_says_nothing_of_coming_again)
{
    amb_proxy *proxy = proxy_of(single_options("fails"));
    struct script script = {.statuses = {7}};
    amb_result result;
    CHECK_INT(amb_proxy_call(proxy, play, &script, &result), 7);
    CHECK(result.retry_after_ms == AMB_NONE);
    CHECK_INT(amb_proxy_call(NULL, play, &script, &result), AMB_ERR_ARGUMENT);
    CHECK(result.retry_after_ms == AMB_NONE);
    amb_proxy_free(proxy);
}

TEST(a_circuit_is_isolated_and_reset_by_hand)
{
    amb_proxy *proxy = proxy_of(single_options("by hand"));
    CHECK_INT(amb_proxy_isolate(proxy), AMB_OK);
    struct script script = {.statuses = {0}};
    amb_result result;
    CHECK_INT(amb_proxy_call(proxy, play, &script, &result), AMB_ERR_CIRCUIT_OPEN);
    /* Nobody knows. */
    CHECK(result.retry_after_ms == AMB_NONE);
    char *health = amb_proxy_health(proxy);
    CHECK(strstr(health, "\"circuit\":{\"state\":\"isolated\"") != NULL);
    amb_string_free(health);
    CHECK_INT(amb_proxy_reset(proxy), AMB_OK);
    CHECK_INT(amb_proxy_call(proxy, play, &script, NULL), AMB_OK);
    CHECK_INT(script.ran, 1);
    amb_proxy_free(proxy);
}

TEST(without_a_breaker_nothing_is_refused)
{
    amb_options options = single_options("no breaker");
    options.breaker.enabled = false;
    amb_proxy *proxy = proxy_of(options);
    calls(proxy, 100, 7);
    CHECK_INT(amb_proxy_isolate(proxy), AMB_OK);
    calls(proxy, 1, 0);
    amb_proxy_free(proxy);
}

TEST(a_refused_spawned_call_is_told_so)
{
    amb_proxy *proxy = proxy_of(single_options("refused"));
    amb_proxy_isolate(proxy);
    struct script script = {.statuses = {0}};
    amb_result result;
    CHECK_INT(amb_proxy_call(proxy, play, &script, &result), AMB_ERR_CIRCUIT_OPEN);
    CHECK_INT(amb_proxy_spawn(proxy, play, &script, NULL, NULL, NULL), AMB_OK);
    CHECK_INT(amb_shutdown(60000), AMB_OK);
    CHECK_INT(script.ran, 0);
    CHECK_INT(health_number(proxy, "\"circuit_open\":"), 2);
    amb_proxy_free(proxy);
}

/* ---------------------------------------------------------------- the budget */

TEST(an_empty_budget_ends_the_call_with_its_own_failure)
{
    CHECK_INT(amb_test_virtual_time_start(), AMB_OK);
    amb_options options = short_options(0);
    options.name = "budget";
    options.max_retries = 100;
    options.breaker.enabled = false;
    options.budget.ratio = 0;
    options.budget.min_per_second = 1;
    options.budget.window_ms = 5000;
    amb_proxy *proxy = proxy_of(options);
    int32_t status = 7;
    amb_result result;
    CHECK_INT(amb_proxy_call(proxy, give, &status, &result), 7);
    CHECK_INT(result.attempts, 6);
    /* A first attempt is never refused. */
    CHECK_INT(amb_proxy_call(proxy, give, &status, &result), 7);
    CHECK_INT(result.attempts, 1);
    amb_proxy_free(proxy);
    amb_test_virtual_time_stop();
}

/* ---------------------------------------------------------------- the bulkhead */

/* A function that stays until it may end, and the call around it. */
struct stay {
    amb_proxy *proxy;
    struct event started, may_end;
    int32_t status;
    amb_result result;
    pthread_t thread;
};

#define STAY(PROXY) {.proxy = PROXY, .started = EVENT_NONE, .may_end = EVENT_NONE}

static int32_t stay(const amb_attempt *attempt, void *user_data)
{
    (void)attempt;
    struct stay *self = user_data;
    event_happened(&self->started);
    event_wait(&self->may_end, 1);
    return AMB_OK;
}

static void *call_and_stay(void *user_data)
{
    struct stay *self = user_data;
    self->status = amb_proxy_call(self->proxy, stay, self, &self->result);
    return NULL;
}

static void begin_to_stay(struct stay *self)
{
    CHECK_INT(pthread_create(&self->thread, NULL, call_and_stay, self), 0);
}

static void end_to_stay(struct stay *self)
{
    event_happened(&self->may_end);
    CHECK_INT(pthread_join(self->thread, NULL), 0);
}

static void wait_until_queued(amb_proxy *proxy, long count)
{
    while (health_number(proxy, "\"queued\":") != count)
        sched_yield();
}

static amb_options bulkhead_options(const char *name, int64_t max_queue)
{
    amb_options options = single_options(name);
    options.timeout_ms = AMB_NONE;
    options.bulkhead.enabled = true;
    options.bulkhead.max_concurrent = 1;
    options.bulkhead.max_queue = max_queue;
    return options;
}

TEST(a_full_bulkhead_refuses)
{
    amb_proxy *proxy = proxy_of(bulkhead_options("full", 0));
    struct stay one = STAY(proxy);
    begin_to_stay(&one);
    event_wait(&one.started, 1);
    struct script script = {.statuses = {0}};
    amb_result result;
    CHECK_INT(amb_proxy_call(proxy, play, &script, &result), AMB_ERR_BULKHEAD_FULL);
    CHECK_INT(script.ran, 0);
    CHECK(result.retry_after_ms == AMB_NONE);
    end_to_stay(&one);
    CHECK_INT(one.status, AMB_OK);
    CHECK_INT(amb_proxy_call(proxy, play, &script, &result), AMB_OK);
    amb_proxy_free(proxy);
}

TEST(who_queues_is_woken_by_the_end_of_another_call_in_its_turn)
{
    amb_proxy *proxy = proxy_of(bulkhead_options("queue", 2));
    struct stay stays[3] = {STAY(proxy), STAY(proxy), STAY(proxy)};
    begin_to_stay(&stays[0]);
    event_wait(&stays[0].started, 1);
    for (int at = 1; at < 3; at++) {
        begin_to_stay(&stays[at]);
        wait_until_queued(proxy, at);
    }
    struct script script = {.statuses = {0}};
    CHECK_INT(amb_proxy_call(proxy, play, &script, NULL), AMB_ERR_BULKHEAD_FULL);
    for (int at = 0; at < 3; at++) {
        event_wait(&stays[at].started, 1);
        for (int later = at + 1; later < 3; later++)
            CHECK_INT(stays[later].started.count, 0);
        end_to_stay(&stays[at]);
        CHECK_INT(stays[at].status, AMB_OK);
    }
    CHECK_INT(health_number(proxy, "\"occupied\":"), 0);
    amb_proxy_free(proxy);
}

TEST(who_queues_for_too_long_is_refused_and_leaves_no_trace)
{
    amb_options options = bulkhead_options("queue timeout", 1);
    options.bulkhead.queue_timeout_ms = 30;
    amb_proxy *proxy = proxy_of(options);
    struct stay one = STAY(proxy);
    begin_to_stay(&one);
    event_wait(&one.started, 1);
    struct script script = {.statuses = {0}};
    amb_result result;
    CHECK_INT(amb_proxy_call(proxy, play, &script, &result), AMB_ERR_BULKHEAD_FULL);
    CHECK(result.elapsed_ms >= 30);
    CHECK_INT(script.ran, 0);
    CHECK_INT(health_number(proxy, "\"queued\":"), 0);
    end_to_stay(&one);
    CHECK_INT(health_number(proxy, "\"occupied\":"), 0);
    amb_proxy_free(proxy);
}

/* A spawned call, and how it ended. */
struct told {
    struct event done;
    amb_result result;
};

static void on_done(const amb_result *result, void *user_data)
{
    struct told *told = user_data;
    told->result = *result;
    event_happened(&told->done);
}

static int32_t never(const amb_attempt *attempt, void *user_data)
{
    (void)attempt;
    (void)user_data;
    CHECK(!"it never had its turn");
    return 0;
}

TEST(who_queues_may_leave)
{
    amb_proxy *proxy = proxy_of(bulkhead_options("leaves", 1));
    struct stay one = STAY(proxy);
    begin_to_stay(&one);
    event_wait(&one.started, 1);
    struct told told = {.done = EVENT_NONE};
    amb_call *call = NULL;
    CHECK_INT(amb_proxy_spawn(proxy, never, &told, NULL, on_done, &call), AMB_OK);
    CHECK_INT(health_number(proxy, "\"queued\":"), 1);
    CHECK_INT(amb_call_cancel(call), AMB_OK);
    event_wait(&told.done, 1);
    CHECK_INT(told.result.status, AMB_CANCELLED);
    CHECK_INT(told.result.attempts, 0);
    CHECK_INT(health_number(proxy, "\"queued\":"), 0);
    end_to_stay(&one);
    CHECK_INT(health_number(proxy, "\"occupied\":"), 0);
    CHECK_INT(health_number(proxy, "\"rejected\":0,\"cancelled\":"), 1);
    amb_proxy_free(proxy);
}

TEST(a_function_that_was_given_up_keeps_its_place_until_it_ends)
{
    amb_options options = bulkhead_options("abandoned", 1);
    options.timeout_ms = 20;
    options.bulkhead.queue_timeout_ms = 60000;
    amb_proxy *proxy = proxy_of(options);
    struct stay one = STAY(proxy);
    CHECK_INT(amb_proxy_spawn(proxy, stay, &one, NULL, NULL, NULL), AMB_OK);
    event_wait(&one.started, 1);
    while (health_number(proxy, "\"abandoned\":") == 0)
        sched_yield();
    struct script script = {.statuses = {0}};
    CHECK_INT(amb_proxy_spawn(proxy, play, &script, NULL, NULL, NULL), AMB_OK);
    CHECK_INT(health_number(proxy, "\"queued\":"), 1);
    event_happened(&one.may_end);
    CHECK_INT(amb_shutdown(60000), AMB_OK);
    CHECK_INT(script.ran, 1);
    amb_proxy_free(proxy);
}

TEST(a_shutdown_ends_who_queues)
{
    amb_proxy *proxy = proxy_of(bulkhead_options("shutdown", 1));
    struct stay one = STAY(proxy);
    begin_to_stay(&one);
    event_wait(&one.started, 1);
    struct told told = {.done = EVENT_NONE};
    CHECK_INT(amb_proxy_spawn(proxy, never, &told, NULL, on_done, NULL), AMB_OK);
    CHECK_INT(amb_shutdown(20), AMB_ERR_TIMEOUT);
    event_wait(&told.done, 1);
    CHECK_INT(told.result.status, AMB_ERR_SHUTDOWN);
    CHECK_INT(told.result.attempts, 0);
    end_to_stay(&one);
    CHECK_INT(one.status, AMB_OK);
    CHECK_INT(health_number(proxy, "\"in_flight\":"), 0);
    amb_proxy_free(proxy);
}

TEST(a_forked_child_has_all_places_to_itself)
{
    amb_proxy *proxy = proxy_of(bulkhead_options("fork", 1));
    struct stay stays[2] = {STAY(proxy), STAY(proxy)};
    begin_to_stay(&stays[0]);
    event_wait(&stays[0].started, 1);
    begin_to_stay(&stays[1]);
    wait_until_queued(proxy, 1);
    const pid_t child = fork();
    if (child == 0) {
        CHECK_INT(health_number(proxy, "\"occupied\":"), 0);
        CHECK_INT(health_number(proxy, "\"queued\":"), 0);
        calls(proxy, 2, 0);
        exit(0);
    }
    int status = 0;
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    end_to_stay(&stays[0]);
    end_to_stay(&stays[1]);
    CHECK_INT(stays[1].status, AMB_OK);
    amb_proxy_free(proxy);
}

static void *many_calls(void *user_data)
{
    for (int call = 0; call < 2000; call++) {
        struct script script = {.statuses = {0}};
        CHECK_INT(amb_proxy_call(user_data, play, &script, NULL), AMB_OK);
    }
    return NULL;
}

TEST(sixteen_threads_queue_for_two_places)
{
    amb_options options = bulkhead_options("crowd", 16);
    options.bulkhead.max_concurrent = 2;
    amb_proxy *proxy = proxy_of(options);
    pthread_t threads[16];
    for (int at = 0; at < 16; at++)
        CHECK_INT(pthread_create(&threads[at], NULL, many_calls, proxy), 0);
    for (int at = 0; at < 16; at++)
        pthread_join(threads[at], NULL);
    CHECK_INT(health_number(proxy, "\"calls\":{\"ok\":"), 32000);
    CHECK_INT(health_number(proxy, "\"occupied\":"), 0);
    CHECK_INT(health_number(proxy, "\"queued\":"), 0);
    amb_proxy_free(proxy);
}

/* ---------------------------------------------------------------- the rate limit */

static amb_options rate_options(const char *name, double rate, int64_t burst, double max_wait_ms)
{
    amb_options options = single_options(name);
    options.rate_limit.enabled = true;
    options.rate_limit.rate = rate;
    options.rate_limit.burst = burst;
    options.rate_limit.max_wait_ms = max_wait_ms;
    return options;
}

TEST(a_call_beyond_the_rate_is_refused_and_told_when_to_come_again)
{
    CHECK_INT(amb_test_virtual_time_start(), AMB_OK);
    amb_proxy *proxy = proxy_of(rate_options("rate", 10, 2, 0));
    calls(proxy, 2, 0);
    struct script script = {.statuses = {0}};
    amb_result result;
    CHECK_INT(amb_proxy_call(proxy, play, &script, &result), AMB_ERR_RATE_LIMITED);
    CHECK(result.retry_after_ms == 100);
    amb_test_virtual_time_advance_ms(result.retry_after_ms);
    CHECK_INT(amb_proxy_call(proxy, play, &script, NULL), AMB_OK);
    amb_proxy_free(proxy);
    amb_test_virtual_time_stop();
}

TEST(a_call_may_wait_for_its_turn)
{
    amb_proxy *proxy = proxy_of(rate_options("turns", 20, 1, 1000));
    const double began = now_ms();
    calls(proxy, 3, 0);
    CHECK(now_ms() - began >= 100);
    amb_result result;
    int32_t status = 0;
    CHECK_INT(amb_proxy_call(proxy, give, &status, &result), AMB_OK);
    CHECK(result.elapsed_ms >= 40);
    amb_proxy_free(proxy);
}

TEST(a_call_that_waits_for_its_turn_may_be_cancelled)
{
    amb_proxy *proxy = proxy_of(rate_options("leaves", 0.001, 1, 3600000));
    calls(proxy, 1, 0);
    struct told told = {.done = EVENT_NONE};
    amb_call *call = NULL;
    CHECK_INT(amb_proxy_spawn(proxy, never, &told, NULL, on_done, &call), AMB_OK);
    CHECK_INT(amb_call_cancel(call), AMB_OK);
    event_wait(&told.done, 1);
    CHECK_INT(told.result.status, AMB_CANCELLED);
    CHECK_INT(told.result.attempts, 0);
    amb_proxy_free(proxy);
}

/* ---------------------------------------------------------------- events */

TEST(a_listener_is_told_what_happens_in_its_order)
{
    CHECK_INT(amb_test_virtual_time_start(), AMB_OK);
    amb_options options = short_options(2000);
    options.name = "told";
    amb_proxy *proxy = proxy_of(options);
    static struct lines events = {.lock = PTHREAD_MUTEX_INITIALIZER};
    CHECK_INT(amb_proxy_on_event(proxy, keep_line, &events), AMB_OK);
    /* Whatever proxy of that name. */
    amb_proxy *other = proxy_of(options);
    struct script script = {.statuses = {7, 0}};
    CHECK_INT(amb_proxy_call(other, play, &script, NULL), AMB_OK);
    amb_proxy_isolate(other);
    amb_proxy_reset(proxy);
    const char *const expected[] = {
        "{\"type\":\"attempt\",\"name\":\"told\",\"attempt\":1,\"outcome\":\"failure\",\"elapsed_ns\":0}",
        "{\"type\":\"retry\",\"name\":\"told\",\"attempt\":1,\"wait_ns\":2000000000}",
        "{\"type\":\"attempt\",\"name\":\"told\",\"attempt\":2,\"outcome\":\"ok\",\"elapsed_ns\":0}",
        "{\"type\":\"call\",\"name\":\"told\",\"attempts\":2,\"outcome\":\"ok\",\"stop\":\"succeeded\",\"elapsed_ns\":2000000000}",
        "{\"type\":\"circuit\",\"name\":\"told\",\"from\":\"closed\",\"to\":\"isolated\"}",
        "{\"type\":\"circuit\",\"name\":\"told\",\"from\":\"isolated\",\"to\":\"closed\"}",
    };
    CHECK_INT(events.count, sizeof expected / sizeof *expected);
    for (int at = 0; at < events.count; at++)
        CHECK_TEXT(events.text[at], expected[at]);
    amb_proxy_free(proxy);
    amb_proxy_free(other);
    amb_test_virtual_time_stop();
}

static void call_again(const char *event, void *listener_data)
{
    amb_proxy *proxy = listener_data;
    int32_t status = 0;
    amb_string_free(amb_proxy_health(proxy));
    if (strstr(event, "\"to\":\"isolated\"") != NULL) {
        CHECK_INT(amb_proxy_reset(proxy), AMB_OK);
        CHECK_INT(amb_proxy_call(proxy, give, &status, NULL), AMB_OK);
    }
}

TEST(a_listener_may_use_the_proxy_that_it_is_told_of)
{
    amb_proxy *proxy = proxy_of(single_options("busy listener"));
    CHECK_INT(amb_proxy_on_event(proxy, call_again, proxy), AMB_OK);
    calls(proxy, 1, 0);
    CHECK_INT(amb_proxy_isolate(proxy), AMB_OK);
    CHECK_INT(health_number(proxy, "\"calls\":{\"ok\":"), 2);
    amb_proxy_free(proxy);
}

TEST(proxies_that_want_other_settings_of_one_state_are_told_of)
{
    amb_options options = single_options("shared");
    amb_proxy *one = proxy_of(options);
    static struct lines events = {.lock = PTHREAD_MUTEX_INITIALIZER};
    CHECK_INT(amb_proxy_on_event(one, keep_line, &events), AMB_OK);
    options.breaker.min_calls = 2;
    amb_proxy *two = proxy_of(options);
    calls(one, 2, 7);
    struct script script = {.statuses = {0}};
    CHECK_INT(amb_proxy_call(one, play, &script, NULL), AMB_ERR_CIRCUIT_OPEN);
    CHECK(strstr(events.text[0], "{\"type\":\"settings\",\"name\":\"shared\",\"before\":") == events.text[0]);
    amb_proxy_free(one);
    amb_proxy_free(two);
}
