/* Attempts of one call that run at once (H1): the first success wins, the other attempt is told and left to itself. */
#include "common.h"

#include <sched.h>

CHECK_MAIN

#define HOUR 3600000.0

/* Two attempts of a call, each of which may be made to wait for something before it returns. */
struct race {
    struct event begun[3], returned, recorded, done, destroyed, *waits_for[3];
    int32_t statuses[3];
    bool cancelled[3], stops_the_call;
    amb_result result;
};

#define RACE(...)                                                                                                \
    {.begun = {EVENT_NONE, EVENT_NONE, EVENT_NONE}, .returned = EVENT_NONE, .recorded = EVENT_NONE, .done = EVENT_NONE, \
     .destroyed = EVENT_NONE, __VA_ARGS__}

static int32_t run(const amb_attempt *attempt, void *user_data)
{
    struct race *race = user_data;
    const uint32_t number = amb_attempt_number(attempt);
    CHECK(number == 1 || number == 2);
    event_happened(&race->begun[number]);
    /* Each runs with the other. */
    event_wait(&race->begun[3 - number], 1);
    if (race->stops_the_call && number == 2)
        CHECK_INT(amb_call_cancel(amb_attempt_call(attempt)), AMB_OK);
    if (race->waits_for[number] != NULL)
        event_wait(race->waits_for[number], 1);
    race->cancelled[number] = amb_attempt_cancelled(attempt);
    const int32_t status = race->statuses[number];
    event_happened(&race->returned);
    return status;
}

static void on_done(const amb_result *result, void *user_data)
{
    struct race *race = user_data;
    race->result = *result;
    event_happened(&race->done);
}

static void destroy(void *user_data)
{
    struct race *race = user_data;
    CHECK_INT(race->done.count, 1);
    CHECK_INT(race->returned.count, 2);
    event_happened(&race->destroyed);
}

static amb_options hedged_options(void)
{
    amb_options options = short_options(0);
    options.max_retries = 2;
    options.timeout_ms = HOUR;
    options.hedge.enabled = true;
    options.hedge.after_ms = 1;
    options.idempotent = true;
    return options;
}

/* As a loser's end is told to nobody. */
static void until_none_is_abandoned(amb_proxy *proxy)
{
    while (health_number(proxy, "\"abandoned\":") > 0)
        sched_yield();
}

TEST(another_attempt_wins_while_the_first_hangs)
{
    amb_proxy *proxy = proxy_of(hedged_options());
    struct event may_end = EVENT_NONE;
    struct race race = RACE(.statuses = {0, 7, 0}, .waits_for = {NULL, &may_end, NULL});
    amb_result result;
    CHECK_INT(amb_proxy_call(proxy, run, &race, &result), AMB_OK);
    CHECK_INT(result.attempts, 2);
    CHECK_INT(result.attempt, 2);
    CHECK_TEXT(result.message, "");
    CHECK(!race.cancelled[2]);
    CHECK_INT(health_number(proxy, "\"hedges\":"), 1);
    CHECK_INT(health_number(proxy, "\"abandoned\":"), 1);
    CHECK_INT(health_number(proxy, "\"in_flight\":"), 0);
    event_happened(&may_end);
    until_none_is_abandoned(proxy);
    CHECK(race.cancelled[1]);
    CHECK_INT(health_number(proxy, "\"attempts\":{\"ok\":1,\"failure\":0,\"timeout\":0,\"cancelled\":"), 1);
    CHECK_INT(health_number(proxy, "\"late_results\":"), 0);
    amb_proxy_free(proxy);
}

TEST(a_spawned_call_tells_of_the_winner_and_keeps_the_data_until_the_loser_returns)
{
    amb_proxy *proxy = proxy_of(hedged_options());
    struct event may_end = EVENT_NONE;
    struct race race = RACE(.statuses = {0, 7, 0}, .waits_for = {NULL, &may_end, NULL});
    CHECK_INT(amb_proxy_spawn(proxy, run, &race, destroy, on_done, NULL), AMB_OK);
    event_wait(&race.done, 1);
    CHECK_INT(race.result.status, AMB_OK);
    CHECK_INT(race.result.attempt, 2);
    CHECK_INT(race.destroyed.count, 0);
    CHECK_INT(health_number(proxy, "\"abandoned\":"), 1);
    event_happened(&may_end);
    event_wait(&race.destroyed, 1);
    CHECK(race.cancelled[1]);
    CHECK_INT(health_number(proxy, "\"abandoned\":"), 0);
    CHECK_INT(health_number(proxy, "\"late_results\":"), 0);
    CHECK_INT(race.done.count, 1);
    CHECK_INT(race.destroyed.count, 1);
    amb_proxy_free(proxy);
}

TEST(the_first_attempt_may_win_although_another_began)
{
    amb_proxy *proxy = proxy_of(hedged_options());
    struct event may_end = EVENT_NONE;
    struct race race = RACE(.statuses = {0, 0, 7}, .waits_for = {NULL, NULL, &may_end});
    amb_result result;
    CHECK_INT(amb_proxy_call(proxy, run, &race, &result), AMB_OK);
    CHECK_INT(result.attempts, 2);
    CHECK_INT(result.attempt, 1);
    event_happened(&may_end);
    until_none_is_abandoned(proxy);
    CHECK(!race.cancelled[1] && race.cancelled[2]);
    amb_proxy_free(proxy);
}

static void tell_that_the_hedge_was_recorded(const char *event, void *listener_data)
{
    struct race *race = listener_data;
    if (strstr(event, "{\"type\":\"attempt\"") == event && strstr(event, "\"attempt\":2,\"outcome\":\"failure\"") != NULL)
        event_happened(&race->recorded);
}

TEST(when_both_fail_the_call_ends_with_the_failure_that_came_last)
{
    amb_proxy *proxy = proxy_of(hedged_options());
    struct race race = RACE(.statuses = {0, 7, 8});
    race.waits_for[1] = &race.recorded;
    CHECK_INT(amb_proxy_on_event(proxy, tell_that_the_hedge_was_recorded, &race), AMB_OK);
    amb_result result;
    CHECK_INT(amb_proxy_call(proxy, run, &race, &result), 7);
    CHECK_INT(result.attempts, 2);
    CHECK_INT(result.attempt, 1);
    CHECK_INT(result.last_status, 7);
    CHECK_TEXT(result.message, "status 7");
    CHECK_INT(health_number(proxy, "\"abandoned\":"), 0);
    CHECK_INT(health_number(proxy, "\"attempts\":{\"ok\":0,\"failure\":"), 2);
    amb_proxy_free(proxy);
}

TEST(what_all_bring_after_their_bounds_is_late)
{
    amb_options options = hedged_options();
    options.timeout_ms = 500;
    amb_proxy *proxy = proxy_of(options);
    struct event may_end = EVENT_NONE;
    struct race race = RACE(.statuses = {0, 0, 0}, .waits_for = {NULL, &may_end, &may_end});
    CHECK_INT(amb_proxy_spawn(proxy, run, &race, destroy, on_done, NULL), AMB_OK);
    event_wait(&race.done, 1);
    CHECK_INT(race.result.status, AMB_ERR_TIMEOUT);
    CHECK_INT(race.result.attempts, 2);
    CHECK_INT(race.result.attempt, 2);
    CHECK_INT(health_number(proxy, "\"abandoned\":"), 2);
    event_happened(&may_end);
    event_wait(&race.destroyed, 1);
    CHECK_INT(health_number(proxy, "\"late_results\":"), 2);
    amb_proxy_free(proxy);
}

TEST(a_call_that_is_stopped_leaves_all_its_attempts_to_themselves)
{
    amb_proxy *proxy = proxy_of(hedged_options());
    struct event may_end = EVENT_NONE;
    struct race race = RACE(.waits_for = {NULL, &may_end, &may_end}, .stops_the_call = true);
    amb_result result;
    CHECK_INT(amb_proxy_call(proxy, run, &race, &result), AMB_CANCELLED);
    CHECK_INT(result.attempts, 2);
    CHECK_INT(result.attempt, 0);
    CHECK_TEXT(result.message, "the call was cancelled");
    CHECK_INT(health_number(proxy, "\"abandoned\":"), 2);
    event_happened(&may_end);
    until_none_is_abandoned(proxy);
    CHECK(race.cancelled[1] && race.cancelled[2]);
    CHECK_INT(health_number(proxy, "\"attempts\":{\"ok\":0,\"failure\":0,\"timeout\":0,\"cancelled\":"), 2);
    CHECK_INT(health_number(proxy, "\"late_results\":"), 0);
    amb_proxy_free(proxy);
}

TEST(a_spawned_call_that_is_stopped_releases_its_data_with_the_last_attempt)
{
    amb_proxy *proxy = proxy_of(hedged_options());
    struct event may_end = EVENT_NONE;
    struct race race = RACE(.waits_for = {NULL, &may_end, &may_end});
    amb_call *call = NULL;
    CHECK_INT(amb_proxy_spawn(proxy, run, &race, destroy, on_done, &call), AMB_OK);
    event_wait(&race.begun[2], 1);
    CHECK_INT(amb_call_cancel(call), AMB_OK);
    event_wait(&race.done, 1);
    CHECK_INT(race.result.status, AMB_CANCELLED);
    CHECK_INT(race.destroyed.count, 0);
    event_happened(&may_end);
    event_wait(&race.destroyed, 1);
    CHECK_INT(race.destroyed.count, 1);
    amb_proxy_free(proxy);
}

TEST(an_attempt_that_says_so_ends_the_call_though_another_runs)
{
    amb_proxy *proxy = proxy_of(hedged_options());
    struct event may_end = EVENT_NONE;
    struct race race = RACE(.statuses = {0, 0, AMB_CANCELLED}, .waits_for = {NULL, &may_end, NULL});
    amb_result result;
    CHECK_INT(amb_proxy_call(proxy, run, &race, &result), AMB_CANCELLED);
    CHECK_INT(result.last_status, AMB_CANCELLED);
    CHECK_INT(result.attempt, 2);
    event_happened(&may_end);
    until_none_is_abandoned(proxy);
    amb_proxy_free(proxy);
}

static int32_t answer(const amb_result *result, void *user_data, void *fallback_data)
{
    CHECK_INT(result->status, 7);
    CHECK(user_data != NULL && fallback_data == NULL);
    return AMB_OK;
}

TEST(a_fallback_answers_when_both_have_failed)
{
    amb_options options = hedged_options();
    options.fallback = answer;
    amb_proxy *proxy = proxy_of(options);
    struct race race = RACE(.statuses = {0, 7, 7});
    amb_result result;
    CHECK_INT(amb_proxy_call(proxy, run, &race, &result), AMB_OK);
    CHECK_INT(result.original_status, 7);
    CHECK_INT(result.attempts, 2);
    CHECK_INT(health_number(proxy, "\"fallback\":"), 1);
    amb_proxy_free(proxy);
}

struct caller {
    amb_proxy *proxy;
    struct race race;
};

static void *call(void *data)
{
    struct caller *caller = data;
    amb_proxy_call(caller->proxy, run, &caller->race, &caller->race.result);
    return NULL;
}

TEST(a_caller_who_waits_is_told_of_a_shutdown_though_functions_hang)
{
    amb_options options = hedged_options();
    options.timeout_ms = AMB_NONE;
    amb_proxy *proxy = proxy_of(options);
    struct event may_end = EVENT_NONE;
    struct caller caller = {proxy, RACE(.waits_for = {NULL, &may_end, &may_end})};
    pthread_t thread;
    CHECK_INT(pthread_create(&thread, NULL, call, &caller), 0);
    event_wait(&caller.race.begun[2], 1);
    CHECK_INT(amb_shutdown(0), AMB_ERR_TIMEOUT);
    CHECK_INT(pthread_join(thread, NULL), 0);
    CHECK_INT(caller.race.result.status, AMB_ERR_SHUTDOWN);
    CHECK_INT(caller.race.result.attempts, 2);
    CHECK_INT(caller.race.result.attempt, 0);
    event_happened(&may_end);
    until_none_is_abandoned(proxy);
    /* And so is who comes later. */
    struct race race = RACE(.statuses = {0});
    CHECK_INT(amb_proxy_call(proxy, run, &race, &race.result), AMB_ERR_SHUTDOWN);
    CHECK_INT(race.begun[1].count, 0);
    CHECK_INT(race.result.attempts, 0);
    amb_proxy_free(proxy);
}

static int32_t quick(const amb_attempt *attempt, void *user_data)
{
    atomic_int *ran = user_data;
    CHECK_INT(amb_attempt_number(attempt), 1);
    atomic_fetch_add(ran, 1);
    return 0;
}

TEST(a_thousand_quick_calls_begin_no_other_attempt)
{
    amb_options options = hedged_options();
    options.hedge.after_ms = HOUR / 2;
    amb_proxy *proxy = proxy_of(options);
    atomic_int ran = 0;
    amb_result result;
    for (int at = 0; at < 1000; at++) {
        CHECK_INT(amb_proxy_call(proxy, quick, &ran, &result), AMB_OK);
        CHECK_INT(result.attempt, 1);
    }
    CHECK_INT(ran, 1000);
    CHECK_INT(health_number(proxy, "\"hedges\":"), 0);
    CHECK_INT(health_number(proxy, "\"abandoned\":"), 0);
    amb_proxy_free(proxy);
}

static int32_t around_the_hedge(const amb_attempt *attempt, void *user_data)
{
    (void)user_data;
    /* About as long as it takes until another begins, so that both end together now and then. */
    const double until = now_ms() + (amb_attempt_number(attempt) == 1 ? 0.2 : 0.05);
    while (now_ms() < until) {
    }
    return 0;
}

struct tally {
    struct event ended;
    atomic_long told, destroyed;
};

static void count_told(const amb_result *result, void *user_data)
{
    struct tally *tally = user_data;
    CHECK_INT(result->status, AMB_OK);
    CHECK(result->attempt >= 1 && result->attempt <= result->attempts);
    atomic_fetch_add(&tally->told, 1);
}

static void count_destroyed(void *user_data)
{
    struct tally *tally = user_data;
    atomic_fetch_add(&tally->destroyed, 1);
    event_happened(&tally->ended);
}

TEST(five_thousand_spawned_calls_whose_attempts_end_together_are_each_told_once)
{
    amb_options options = hedged_options();
    options.hedge.after_ms = 0.1;
    options.budget.enabled = options.breaker.enabled = false;
    amb_proxy *proxy = proxy_of(options);
    static struct tally tally = {.ended = EVENT_NONE};
    enum { CALLS = 5000 };
    for (int call = 1; call <= CALLS; call++) {
        CHECK_INT(amb_proxy_spawn(proxy, around_the_hedge, &tally, count_destroyed, count_told, NULL), AMB_OK);
        event_wait(&tally.ended, call - 7);
    }
    event_wait(&tally.ended, CALLS);
    CHECK_INT(tally.told, CALLS);
    CHECK_INT(tally.destroyed, CALLS);
    CHECK_INT(health_number(proxy, "\"calls\":{\"ok\":"), CALLS);
    CHECK_INT(health_number(proxy, "\"abandoned\":"), 0);
    CHECK_INT(health_number(proxy, "\"late_results\":"), 0);
    CHECK_INT(health_number(proxy, "\"in_flight\":"), 0);
    printf("%ld hedges\n", health_number(proxy, "\"hedges\":"));
    amb_proxy_free(proxy);
}
