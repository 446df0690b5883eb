/* What answers in place of a call's error (H2): when it is asked and when it is not, where it runs, how its call is counted. */
#define _GNU_SOURCE
#include "common.h"

#include <sys/wait.h>
#include <unistd.h>

CHECK_MAIN

/* What a fallback returns, and what it saw. It is the call's user_data; `charged` is the answer. */
struct order {
    struct script script;
    const char *charged;
    struct event started, may_end, asked, may_answer, done, destroyed;
    bool hangs, waits;
    atomic_int function_ended;
    pthread_t answered_by;
    amb_result seen, result;
};

#define ORDER(...)                                                                                                        \
    {.started = EVENT_NONE, .may_end = EVENT_NONE, .asked = EVENT_NONE, .may_answer = EVENT_NONE, .done = EVENT_NONE,        \
     .destroyed = EVENT_NONE, .script = {.statuses = {__VA_ARGS__}}}

static int32_t charge(const amb_attempt *attempt, void *user_data)
{
    struct order *order = user_data;
    if (order->hangs) {
        event_happened(&order->started);
        event_wait(&order->may_end, 1);
        CHECK(amb_attempt_cancelled(attempt));
        atomic_fetch_add(&order->function_ended, 1);
        return AMB_OK;
    }
    const int32_t status = play(attempt, &order->script);
    if (status == AMB_OK)
        order->charged = "now";
    return status;
}

/* Answers, or fails with the status that `fallback_data` points to. */
static int32_t later(const amb_result *result, void *user_data, void *fallback_data)
{
    struct order *order = user_data;
    order->seen = *result;
    order->answered_by = pthread_self();
    CHECK_INT(order->done.count, 0);
    CHECK_INT(order->destroyed.count, 0);
    event_happened(&order->asked);
    if (order->waits)
        event_wait(&order->may_answer, 1);
    const int32_t status = *(const int32_t *)fallback_data;
    if (status == AMB_OK)
        order->charged = "later";
    return status;
}

static void on_done(const amb_result *result, void *user_data)
{
    struct order *order = user_data;
    CHECK_INT(order->destroyed.count, 0);
    order->result = *result;
    event_happened(&order->done);
}

static void destroy(void *user_data)
{
    struct order *order = user_data;
    CHECK_INT(order->done.count, 1);
    event_happened(&order->destroyed);
}

static int32_t answers = AMB_OK, fails = 42;

static amb_options with(int32_t *fallback_status)
{
    amb_options options = short_options(1);
    options.fallback = later;
    options.fallback_data = fallback_status;
    return options;
}

static amb_options single_with(int32_t *fallback_status)
{
    amb_options options = with(fallback_status);
    options.max_retries = 1;
    return options;
}

static long fallbacks(amb_proxy *proxy)
{
    return health_number(proxy, "\"fallback\":");
}

TEST(a_fallback_answers_in_place_of_the_last_error)
{
    amb_proxy *proxy = proxy_of(with(&answers));
    struct order order = ORDER(7, 8, 9);
    order.script.error = "Payment API unreachable";
    amb_result result;
    CHECK_INT(amb_proxy_call(proxy, charge, &order, &result), AMB_OK);
    CHECK_TEXT(order.charged, "later");
    CHECK(pthread_equal(order.answered_by, pthread_self()));
    /* What the call would have returned is what the fallback is given … */
    CHECK_INT(order.seen.status, 9);
    CHECK_INT(order.seen.last_status, 9);
    CHECK_INT(order.seen.original_status, 0);
    CHECK_INT(order.seen.attempts, 3);
    CHECK_TEXT(order.seen.message, "Payment API unreachable");
    /* … and what the result still tells of. */
    CHECK_INT(result.status, AMB_OK);
    CHECK_INT(result.original_status, 9);
    CHECK_INT(result.last_status, 9);
    CHECK_INT(result.attempts, 3);
    CHECK_TEXT(result.message, "Payment API unreachable");
    CHECK(result.elapsed_ms >= order.seen.elapsed_ms && order.seen.elapsed_ms >= 3);
    CHECK_INT(fallbacks(proxy), 1);
    CHECK_INT(health_number(proxy, "\"failure\":"), 0);
    CHECK_INT(health_number(proxy, "\"in_flight\":"), 0);
    amb_proxy_free(proxy);
}

TEST(a_fallback_is_not_asked_when_there_is_a_value)
{
    amb_proxy *proxy = proxy_of(with(&answers));
    struct order order = ORDER(7, 0);
    amb_result result;
    CHECK_INT(amb_proxy_call(proxy, charge, &order, &result), AMB_OK);
    CHECK_TEXT(order.charged, "now");
    CHECK_INT(result.original_status, 0);
    CHECK_INT(order.asked.count, 0);
    CHECK_INT(fallbacks(proxy), 0);
    amb_proxy_free(proxy);
}

static int32_t all_fail(int32_t status, void *classify_data)
{
    (void)status;
    (void)classify_data;
    return AMB_OUTCOME_FAIL;
}

TEST(a_value_is_not_answered_even_if_it_counts_as_a_failure)
{
    amb_options options = with(&answers);
    options.classify = all_fail;
    amb_proxy *proxy = proxy_of(options);
    struct order order = ORDER(0, 7);
    amb_result result;
    CHECK_INT(amb_proxy_call(proxy, charge, &order, &result), AMB_OK);
    CHECK_INT(result.original_status, 0);
    CHECK_INT(order.asked.count, 0);
    CHECK_INT(health_number(proxy, "\"calls\":{\"ok\":0,\"failure\":"), 1);
    CHECK_INT(amb_proxy_call(proxy, charge, &order, &result), AMB_OK);
    CHECK_INT(result.original_status, 7);
    CHECK_INT(fallbacks(proxy), 1);
    amb_proxy_free(proxy);
}

TEST(what_a_fallback_fails_with_is_what_the_call_returns)
{
    amb_proxy *proxy = proxy_of(single_with(&fails));
    struct order order = ORDER(7);
    order.script.error = "Payment API unreachable";
    amb_result result;
    CHECK_INT(amb_proxy_call(proxy, charge, &order, &result), 42);
    CHECK_INT(result.status, 42);
    CHECK_INT(result.original_status, 7);
    CHECK_INT(result.last_status, 7);
    CHECK_TEXT(result.message, "Payment API unreachable");
    CHECK_INT(fallbacks(proxy), 0);
    CHECK_INT(health_number(proxy, "\"calls\":{\"ok\":0,\"failure\":"), 1);
    CHECK_INT(health_number(proxy, "\"in_flight\":"), 0);
    amb_proxy_free(proxy);
}

/* A call that runs none of its function, and is answered for that. */
static void answered_for(amb_proxy *proxy, int32_t original)
{
    struct order order = ORDER(0);
    amb_result result;
    CHECK_INT(amb_proxy_call(proxy, charge, &order, &result), AMB_OK);
    CHECK_TEXT(order.charged, "later");
    CHECK_INT(order.script.ran, 0);
    CHECK_INT(order.seen.status, original);
    CHECK_INT(result.original_status, original);
    CHECK_INT(result.attempts, 0);
    CHECK(result.retry_after_ms == order.seen.retry_after_ms);
    CHECK(strstr(result.message, "payment-api.example.com: ") == result.message);
}

static int32_t call_within(const amb_attempt *attempt, void *proxy)
{
    (void)attempt;
    answered_for(proxy, AMB_ERR_BULKHEAD_FULL);
    return AMB_OK;
}

TEST(a_fallback_answers_refusals)
{
    amb_options options = single_with(&answers);
    options.bulkhead.enabled = options.rate_limit.enabled = true;
    options.bulkhead.max_concurrent = 1;
    options.rate_limit.rate = 2;
    options.rate_limit.per_ms = 3600000;
    amb_proxy *proxy = proxy_of(options);
    CHECK_INT(amb_proxy_call(proxy, call_within, proxy, NULL), AMB_OK);
    answered_for(proxy, AMB_ERR_RATE_LIMITED);
    amb_options unlimited = single_with(&answers);
    unlimited.name = "unlimited";
    amb_proxy *other = proxy_of(unlimited);
    amb_proxy_isolate(other);
    answered_for(other, AMB_ERR_CIRCUIT_OPEN);
    CHECK_INT(amb_shutdown(60000), AMB_OK);
    answered_for(other, AMB_ERR_SHUTDOWN);
    CHECK_INT(fallbacks(proxy), 2);
    CHECK_INT(fallbacks(other), 2);
    /* Refused they were all the same. */
    CHECK_INT(health_number(proxy, "\"bulkhead_full\":"), 1);
    CHECK_INT(health_number(proxy, "\"rate_limited\":"), 1);
    CHECK_INT(health_number(other, "\"circuit_open\":"), 1);
    CHECK_INT(health_number(other, "\"rejected\":"), 0);
    amb_proxy_free(proxy);
    amb_proxy_free(other);
}

static int32_t too_long(const amb_attempt *attempt, void *user_data)
{
    (void)user_data;
    amb_test_virtual_time_advance_ms(amb_attempt_number(attempt) == 1 ? 0 : 2001);
    return amb_attempt_number(attempt) == 1 ? 7 : AMB_OK;
}

TEST(a_fallback_answers_a_timeout_and_is_told_its_cause)
{
    amb_options options = with(&answers);
    options.max_retries = 2;
    amb_proxy *proxy = proxy_of(options);
    CHECK_INT(amb_test_virtual_time_start(), AMB_OK);
    struct order order = ORDER(0);
    amb_result result;
    CHECK_INT(amb_proxy_call(proxy, too_long, &order, &result), AMB_OK);
    CHECK_INT(order.seen.status, AMB_ERR_TIMEOUT);
    CHECK_INT(order.seen.last_status, 7);
    CHECK_INT(result.original_status, AMB_ERR_TIMEOUT);
    CHECK_INT(result.last_status, 7);
    amb_test_virtual_time_stop();
    amb_proxy_free(proxy);
}

static int32_t cancel_itself(const amb_attempt *attempt, void *user_data)
{
    (void)user_data;
    CHECK_INT(amb_call_cancel(amb_attempt_call(attempt)), AMB_OK);
    return 7;
}

TEST(a_cancelled_call_is_not_answered)
{
    amb_proxy *proxy = proxy_of(with(&answers));
    struct order order = ORDER(7, AMB_CANCELLED);
    amb_result result;
    CHECK_INT(amb_proxy_call(proxy, charge, &order, &result), AMB_CANCELLED);
    CHECK_INT(result.original_status, 0);
    CHECK_INT(amb_proxy_call(proxy, cancel_itself, &order, &result), AMB_CANCELLED);
    CHECK_INT(result.original_status, 0);
    struct order hanging = ORDER(0);
    hanging.hangs = true;
    amb_call *call = NULL;
    CHECK_INT(amb_proxy_spawn(proxy, charge, &hanging, destroy, on_done, &call), AMB_OK);
    event_wait(&hanging.started, 1);
    CHECK_INT(amb_call_cancel(call), AMB_OK);
    event_wait(&hanging.done, 1);
    CHECK_INT(hanging.result.status, AMB_CANCELLED);
    CHECK_INT(hanging.result.original_status, 0);
    event_happened(&hanging.may_end);
    event_wait(&hanging.destroyed, 1);
    CHECK_INT(order.asked.count + hanging.asked.count, 0);
    CHECK_INT(fallbacks(proxy), 0);
    CHECK_INT(health_number(proxy, "\"rejected\":0,\"cancelled\":"), 3);
    amb_proxy_free(proxy);
}

TEST(a_fault_of_the_core_leaves_the_call_with_what_the_function_brought)
{
    amb_proxy *proxy = proxy_of(with(&answers));
    struct order order = ORDER(7, 0, 7);
    amb_result result;
    amb_test_inject_panic("begin");
    CHECK_INT(amb_proxy_call(proxy, charge, &order, &result), 7);
    CHECK_INT(result.original_status, 0);
    amb_test_inject_panic("settle");
    CHECK_INT(amb_proxy_call(proxy, charge, &order, &result), AMB_OK);
    CHECK_INT(result.original_status, 0);
    CHECK_INT(amb_proxy_call(proxy, charge, &order, &result), 7);
    CHECK_INT(result.original_status, 0);
    amb_test_inject_panic(NULL);
    CHECK_INT(order.asked.count, 0);
    CHECK_INT(order.script.ran, 3);
    CHECK_INT(health_number(proxy, "\"in_flight\":"), 0);
    CHECK_INT(health_number(proxy, "\"internal_errors\":"), 3);
    amb_proxy_free(proxy);
}

static int32_t call_again(const amb_result *result, void *user_data, void *fallback_data)
{
    (void)result;
    /* Answered by this too, the second time by what the script then returns. */
    struct order *order = user_data;
    amb_proxy *proxy = *(amb_proxy **)fallback_data;
    return amb_proxy_call(proxy, charge, order, NULL);
}

TEST(a_fallback_may_call_its_own_proxy)
{
    amb_proxy *proxy = NULL;
    amb_options options = single_with(NULL);
    options.fallback = call_again;
    options.fallback_data = &proxy;
    proxy = proxy_of(options);
    struct order order = ORDER(7, 8, 0);
    CHECK_INT(amb_proxy_call(proxy, charge, &order, NULL), AMB_OK);
    CHECK_INT(order.script.ran, 3);
    CHECK_INT(fallbacks(proxy), 2);
    CHECK_INT(health_number(proxy, "\"calls\":{\"ok\":"), 1);
    CHECK_INT(health_number(proxy, "\"in_flight\":"), 0);
    amb_proxy_free(proxy);
}

TEST(the_fallback_of_a_spawned_call_runs_on_another_thread_before_the_call_is_done)
{
    amb_proxy *proxy = proxy_of(single_with(&answers));
    struct order failed = ORDER(7);
    CHECK_INT(amb_proxy_spawn(proxy, charge, &failed, destroy, on_done, NULL), AMB_OK);
    event_wait(&failed.destroyed, 1);
    CHECK_INT(failed.result.status, AMB_OK);
    CHECK_INT(failed.result.original_status, 7);
    CHECK_TEXT(failed.charged, "later");
    CHECK(!pthread_equal(failed.answered_by, pthread_self()));
    /* Also when it is refused at once: this thread goes on before the fallback does. */
    amb_proxy_isolate(proxy);
    struct order refused = ORDER(0);
    refused.waits = true;
    CHECK_INT(amb_proxy_spawn(proxy, charge, &refused, destroy, on_done, NULL), AMB_OK);
    event_wait(&refused.asked, 1);
    CHECK_INT(health_number(proxy, "\"in_flight\":"), 1);
    event_happened(&refused.may_answer);
    event_wait(&refused.destroyed, 1);
    CHECK_INT(refused.result.original_status, AMB_ERR_CIRCUIT_OPEN);
    CHECK_INT(refused.script.ran, 0);
    CHECK_INT(fallbacks(proxy), 2);
    amb_proxy_free(proxy);
}

TEST(what_the_fallback_of_a_spawned_call_fails_with_is_told)
{
    amb_proxy *proxy = proxy_of(single_with(&fails));
    struct order order = ORDER(7);
    CHECK_INT(amb_proxy_spawn(proxy, charge, &order, destroy, on_done, NULL), AMB_OK);
    event_wait(&order.destroyed, 1);
    CHECK_INT(order.result.status, 42);
    CHECK_INT(order.result.original_status, 7);
    CHECK_INT(health_number(proxy, "\"calls\":{\"ok\":0,\"failure\":"), 1);
    amb_proxy_free(proxy);
}

TEST(other_calls_have_their_waits_and_bounds_while_fallbacks_hang)
{
    enum { COUNT = 32 };
    amb_proxy *proxy = proxy_of(single_with(&answers));
    static struct order orders[COUNT];
    for (int at = 0; at < COUNT; at++) {
        orders[at] = (struct order)ORDER(7);
        orders[at].waits = true;
        CHECK_INT(amb_proxy_spawn(proxy, charge, &orders[at], destroy, on_done, NULL), AMB_OK);
    }
    for (int at = 0; at < COUNT; at++)
        event_wait(&orders[at].asked, 1);
    amb_options options = untiring_options(5);
    options.name = "other";
    options.timeout_ms = 20;
    options.max_retries = 2;
    amb_proxy *other = proxy_of(options);
    struct order order = ORDER(0);
    order.hangs = true;
    CHECK_INT(amb_proxy_spawn(other, charge, &order, destroy, on_done, NULL), AMB_OK);
    event_wait(&order.done, 1);
    CHECK_INT(order.result.status, AMB_ERR_TIMEOUT);
    CHECK_INT(order.result.attempts, 2);
    event_happened(&order.may_end);
    event_wait(&order.destroyed, 1);
    for (int at = 0; at < COUNT; at++) {
        event_happened(&orders[at].may_answer);
        event_wait(&orders[at].destroyed, 1);
        CHECK_INT(orders[at].result.status, AMB_OK);
    }
    CHECK_INT(fallbacks(proxy), COUNT);
    amb_proxy_free(proxy);
    amb_proxy_free(other);
}

TEST(the_data_of_an_answered_call_outlives_a_function_that_was_given_up)
{
    amb_options options = single_with(&answers);
    options.timeout_ms = 200;
    amb_proxy *proxy = proxy_of(options);
    struct order order = ORDER(0);
    order.hangs = true;
    CHECK_INT(amb_proxy_spawn(proxy, charge, &order, destroy, on_done, NULL), AMB_OK);
    event_wait(&order.done, 1);
    CHECK_INT(order.result.status, AMB_OK);
    CHECK_INT(order.result.original_status, AMB_ERR_TIMEOUT);
    CHECK_INT(order.destroyed.count, 0);
    event_happened(&order.may_end);
    event_wait(&order.destroyed, 1);
    CHECK_INT(order.function_ended, 1);
    amb_proxy_free(proxy);
}

TEST(a_shutdown_lets_in_what_was_spawned_before_it)
{
    enum { COUNT = 200 };
    amb_proxy *proxy = proxy_of(single_with(&answers));
    static struct order orders[COUNT];
    for (int at = 0; at < COUNT; at++) {
        orders[at] = (struct order)ORDER(0);
        CHECK_INT(amb_proxy_spawn(proxy, charge, &orders[at], destroy, on_done, NULL), AMB_OK);
    }
    CHECK_INT(amb_shutdown(60000), AMB_OK);
    for (int at = 0; at < COUNT; at++) {
        event_wait(&orders[at].destroyed, 1);
        CHECK_INT(orders[at].result.status, AMB_OK);
        CHECK_INT(orders[at].result.original_status, 0);
    }
    CHECK_INT(health_number(proxy, "\"calls\":{\"ok\":"), COUNT);
    amb_proxy_free(proxy);
}

TEST(a_shutdown_waits_for_a_fallback_and_refuses_meanwhile)
{
    amb_proxy *proxy = proxy_of(single_with(&answers));
    amb_proxy_isolate(proxy);
    struct order order = ORDER(0);
    order.waits = true;
    CHECK_INT(amb_proxy_spawn(proxy, charge, &order, destroy, on_done, NULL), AMB_OK);
    event_wait(&order.asked, 1);
    CHECK_INT(amb_shutdown(20), AMB_ERR_TIMEOUT);
    answered_for(proxy, AMB_ERR_SHUTDOWN);
    event_happened(&order.may_answer);
    event_wait(&order.destroyed, 1);
    CHECK_INT(order.result.status, AMB_OK);
    CHECK_INT(order.result.original_status, AMB_ERR_CIRCUIT_OPEN);
    CHECK_INT(health_number(proxy, "\"in_flight\":"), 0);
    amb_proxy_free(proxy);
}

TEST(a_call_that_is_spawned_after_a_shutdown_is_answered)
{
    amb_proxy *proxy = proxy_of(single_with(&answers));
    CHECK_INT(amb_shutdown(1000), AMB_OK);
    struct order order = ORDER(0);
    order.waits = true;
    CHECK_INT(amb_proxy_spawn(proxy, charge, &order, destroy, on_done, NULL), AMB_OK);
    event_wait(&order.asked, 1);
    event_happened(&order.may_answer);
    event_wait(&order.destroyed, 1);
    CHECK_INT(order.result.status, AMB_OK);
    CHECK_INT(order.result.original_status, AMB_ERR_SHUTDOWN);
    CHECK_INT(order.script.ran, 0);
    CHECK_INT(fallbacks(proxy), 1);
    amb_proxy_free(proxy);
}

static pid_t child;

static int32_t fork_and_answer(const amb_result *result, void *user_data, void *fallback_data)
{
    (void)result;
    (void)user_data;
    (void)fallback_data;
    child = fork();
    return AMB_OK;
}

static int32_t see_itself_in_flight(const amb_attempt *attempt, void *proxy)
{
    (void)attempt;
    CHECK_INT(health_number(proxy, "\"in_flight\":"), 1);
    return AMB_OK;
}

static void wait_for_child(void)
{
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), 0);
}

TEST(a_child_that_returns_from_its_parents_fallback_is_told_so)
{
    amb_options options = single_with(NULL);
    options.fallback = fork_and_answer;
    amb_proxy *proxy = proxy_of(options);
    struct order order = ORDER(7);
    amb_result result;
    const int32_t status = amb_proxy_call(proxy, charge, &order, &result);
    if (child == 0) {
        CHECK_INT(status, AMB_ERR_FORKED);
        CHECK_INT(result.original_status, 0);
        CHECK_INT(health_number(proxy, "\"in_flight\":"), 0);
        CHECK_INT(amb_proxy_call(proxy, see_itself_in_flight, proxy, NULL), AMB_OK);
        exit(0);
    }
    wait_for_child();
    CHECK_INT(status, AMB_OK);
    CHECK_INT(fallbacks(proxy), 1);
    /* On a thread of the ambassador's the child ends. */
    struct order spawned = ORDER(7);
    CHECK_INT(amb_proxy_spawn(proxy, charge, &spawned, destroy, on_done, NULL), AMB_OK);
    event_wait(&spawned.destroyed, 1);
    wait_for_child();
    CHECK_INT(spawned.result.status, AMB_OK);
    CHECK_INT(fallbacks(proxy), 2);
    amb_proxy_free(proxy);
}
