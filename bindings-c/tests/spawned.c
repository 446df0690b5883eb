/* Calls on the ambassador's threads: bounded whatever the function does, told once, data released once. */
#define _GNU_SOURCE /* for sched_setaffinity */
#include "common.h"

#include <sched.h>

CHECK_MAIN

struct task {
    struct event started, done, destroyed, may_end;
    int32_t status;
    bool hang;
    atomic_int runs;
    amb_result result;
};

#define TASK(...) {.started = EVENT_NONE, .done = EVENT_NONE, .destroyed = EVENT_NONE, .may_end = EVENT_NONE, __VA_ARGS__}

static int32_t run(const amb_attempt *attempt, void *user_data)
{
    struct task *task = user_data;
    atomic_fetch_add(&task->runs, 1);
    event_happened(&task->started);
    if (task->hang) {
        event_wait(&task->may_end, 1);
        CHECK(amb_attempt_cancelled(attempt));
    }
    return task->status;
}

static void on_done(const amb_result *result, void *user_data)
{
    struct task *task = user_data;
    CHECK_INT(task->done.count, 0);
    CHECK_INT(task->destroyed.count, 0);
    task->result = *result;
    event_happened(&task->done);
}

static void destroy(void *user_data)
{
    struct task *task = user_data;
    CHECK_INT(task->done.count, 1);
    event_happened(&task->destroyed);
}

TEST(a_spawned_call_tells_its_end_and_releases_its_data)
{
    amb_proxy *proxy = proxy_of(short_options(1));
    struct task task = TASK(.status = 0);
    CHECK_INT(amb_proxy_spawn(proxy, run, &task, destroy, on_done, NULL), AMB_OK);
    event_wait(&task.destroyed, 1);
    CHECK_INT(task.result.status, AMB_OK);
    CHECK_INT(task.result.attempts, 1);
    CHECK_INT(task.runs, 1);
    amb_proxy_free(proxy);
}

TEST(a_spawned_call_retries)
{
    amb_proxy *proxy = proxy_of(short_options(1));
    struct task task = TASK(.status = 7);
    CHECK_INT(amb_proxy_spawn(proxy, run, &task, destroy, on_done, NULL), AMB_OK);
    event_wait(&task.destroyed, 1);
    CHECK_INT(task.result.status, 7);
    CHECK_INT(task.result.attempts, 3);
    CHECK_INT(task.runs, 3);
    amb_proxy_free(proxy);
}

TEST(a_function_that_hangs_is_given_up_at_its_bound)
{
    amb_options options = short_options(1);
    options.timeout_ms = 200;
    options.max_retries = 2;
    amb_proxy *proxy = proxy_of(options);
    struct task task = TASK(.hang = true);
    const double began = now_ms();
    CHECK_INT(amb_proxy_spawn(proxy, run, &task, destroy, on_done, NULL), AMB_OK);
    event_wait(&task.done, 1);
    const double took = now_ms() - began;
    CHECK(took >= 401 && took < 5000);
    CHECK_INT(task.result.status, AMB_ERR_TIMEOUT);
    CHECK_INT(task.result.attempts, 2);
    /* Both functions still run: counted, and their data is there. */
    CHECK_INT(health_number(proxy, "\"abandoned\":"), 2);
    CHECK_INT(task.destroyed.count, 0);
    event_happened(&task.may_end);
    event_wait(&task.destroyed, 1);
    CHECK_INT(health_number(proxy, "\"abandoned\":"), 0);
    CHECK_INT(health_number(proxy, "\"late_results\":"), 2);
    amb_proxy_free(proxy);
}

TEST(a_spawned_call_is_cancelled_while_its_function_runs)
{
    amb_options options = short_options(1);
    options.timeout_ms = AMB_NONE;
    amb_proxy *proxy = proxy_of(options);
    struct task task = TASK(.hang = true);
    amb_call *call = NULL;
    CHECK_INT(amb_proxy_spawn(proxy, run, &task, destroy, on_done, &call), AMB_OK);
    event_wait(&task.started, 1);
    CHECK_INT(amb_call_cancel(call), AMB_OK);
    event_wait(&task.done, 1);
    CHECK_INT(task.result.status, AMB_CANCELLED);
    CHECK_INT(amb_call_cancel(call), AMB_ERR_ARGUMENT);
    event_happened(&task.may_end);
    event_wait(&task.destroyed, 1);
    CHECK_INT(health_number(proxy, "\"rejected\":0,\"cancelled\":"), 1);
    amb_proxy_free(proxy);
}

TEST(a_spawned_call_is_cancelled_while_it_waits)
{
    amb_proxy *proxy = proxy_of(short_options(30000));
    struct lines lines = {.lock = PTHREAD_MUTEX_INITIALIZER};
    amb_set_log(keep_line, &lines);
    struct task task = TASK(.status = 1);
    amb_call *call = NULL;
    CHECK_INT(amb_proxy_spawn(proxy, run, &task, destroy, on_done, &call), AMB_OK);
    event_wait(&task.started, 1);
    CHECK_INT(amb_call_cancel(call), AMB_OK);
    event_wait(&task.destroyed, 1);
    CHECK(task.result.status == AMB_CANCELLED);
    CHECK_INT(task.runs, 1);
    amb_proxy_free(proxy);
}

TEST(a_call_that_does_not_begin_leaves_the_data_to_its_caller)
{
    struct task task = TASK(.status = 0);
    CHECK_INT(amb_proxy_spawn(NULL, run, &task, destroy, on_done, NULL), AMB_ERR_ARGUMENT);
    amb_proxy *proxy = proxy_of(short_options(1));
    CHECK_INT(amb_shutdown(1000), AMB_OK);
    CHECK_INT(amb_proxy_spawn(proxy, run, &task, destroy, on_done, NULL), AMB_ERR_SHUTDOWN);
    CHECK_INT(health_number(proxy, "\"rejected\":"), 1);
    CHECK_INT(task.runs, 0);
    CHECK_INT(task.done.count, 0);
    CHECK_INT(task.destroyed.count, 0);
    amb_proxy_free(proxy);
}

TEST(a_thousand_spawned_calls_all_end)
{
    amb_proxy *proxy = proxy_of(short_options(1));
    enum { COUNT = 1000 };
    static struct task tasks[COUNT];
    for (int at = 0; at < COUNT; at++) {
        tasks[at] = (struct task)TASK(.status = 0);
        CHECK_INT(amb_proxy_spawn(proxy, run, &tasks[at], destroy, on_done, NULL), AMB_OK);
    }
    for (int at = 0; at < COUNT; at++) {
        event_wait(&tasks[at].destroyed, 1);
        CHECK_INT(tasks[at].result.status, AMB_OK);
    }
    amb_proxy_free(proxy);
}

static int32_t spin(const amb_attempt *attempt, void *user_data)
{
    (void)user_data;
    /* The first 100 µs on each side of the bound. */
    while (amb_attempt_remaining_ms(attempt) > 0.1) {
    }
    return 0;
}

struct tally {
    struct event ended;
    atomic_long values, timeouts, destroyed;
};

static void count_end(const amb_result *result, void *user_data)
{
    struct tally *tally = user_data;
    CHECK(result->status == AMB_OK || result->status == AMB_ERR_TIMEOUT);
    atomic_fetch_add(result->status == AMB_OK ? &tally->values : &tally->timeouts, 1);
}

static void count_destroyed(void *user_data)
{
    struct tally *tally = user_data;
    atomic_fetch_add(&tally->destroyed, 1);
    event_happened(&tally->ended);
}

TEST(twenty_thousand_spawned_calls_that_end_at_their_bound_are_each_told_once)
{
    amb_options options = untiring_options(0);
    options.timeout_ms = 2;
    options.max_retries = 1;
    amb_proxy *proxy = proxy_of(options);
    struct tally tally = {.ended = EVENT_NONE};
    for (int call = 1; call <= 20000; call++) {
        CHECK_INT(amb_proxy_spawn(proxy, spin, &tally, count_destroyed, count_end, NULL), AMB_OK);
        event_wait(&tally.ended, call - 7);
    }
    event_wait(&tally.ended, 20000);
    printf("%ld values, %ld timeouts\n", (long)tally.values, (long)tally.timeouts);
    CHECK_INT(tally.values + tally.timeouts, 20000);
    CHECK_INT(tally.destroyed, 20000);
    CHECK_INT(health_number(proxy, "\"abandoned\":"), 0);
    CHECK_INT(health_number(proxy, "\"in_flight\":"), 0);
    amb_proxy_free(proxy);
}

TEST(shutdown_waits_for_calls_in_flight_and_refuses_new_ones)
{
    amb_proxy *proxy = proxy_of(short_options(20));
    struct task task = TASK(.status = 7);
    CHECK_INT(amb_proxy_spawn(proxy, run, &task, destroy, on_done, NULL), AMB_OK);
    event_wait(&task.started, 1);
    CHECK_INT(amb_shutdown(30000), AMB_OK);
    /* Told before shutdown came back. */
    CHECK_INT(task.done.count, 1);
    CHECK_INT(task.result.attempts, 3);
    struct script script = {.statuses = {0}};
    amb_result result;
    CHECK_INT(amb_proxy_call(proxy, play, &script, &result), AMB_ERR_SHUTDOWN);
    CHECK_INT(script.ran, 0);
    CHECK_INT(health_number(proxy, "\"rejected\":"), 1);
    amb_proxy_free(proxy);
}

TEST(shutdown_does_not_wait_for_ever)
{
    amb_options options = short_options(1);
    options.timeout_ms = AMB_NONE;
    amb_proxy *proxy = proxy_of(options);
    struct task task = TASK(.hang = true);
    amb_call *call = NULL;
    CHECK_INT(amb_proxy_spawn(proxy, run, &task, destroy, on_done, &call), AMB_OK);
    event_wait(&task.started, 1);
    CHECK_INT(amb_shutdown(50), AMB_ERR_TIMEOUT);
    event_wait(&task.done, 1);
    CHECK_INT(task.result.status, AMB_ERR_SHUTDOWN);
    CHECK_INT(task.result.attempts, 1);
    CHECK(task.result.elapsed_ms >= 50);
    CHECK_INT(amb_call_cancel(call), AMB_ERR_ARGUMENT);
    CHECK_INT(health_number(proxy, "\"abandoned\":"), 1);
    event_happened(&task.may_end);
    event_wait(&task.destroyed, 1);
    CHECK_INT(health_number(proxy, "\"abandoned\":"), 0);
    CHECK_INT(amb_shutdown(-1), AMB_ERR_ARGUMENT);
    amb_proxy_free(proxy);
}

static int32_t fail_then_hang(const amb_attempt *attempt, void *user_data)
{
    return amb_attempt_number(attempt) == 1 ? 7 : run(attempt, user_data);
}

TEST(a_call_cut_off_by_a_shutdown_tells_how_far_it_came)
{
    amb_options options = short_options(1);
    options.timeout_ms = AMB_NONE;
    amb_proxy *proxy = proxy_of(options);
    struct task task = TASK(.hang = true);
    CHECK_INT(amb_proxy_spawn(proxy, fail_then_hang, &task, destroy, on_done, NULL), AMB_OK);
    event_wait(&task.started, 1);
    CHECK_INT(amb_shutdown(0), AMB_ERR_TIMEOUT);
    event_wait(&task.done, 1);
    CHECK_INT(task.result.status, AMB_ERR_SHUTDOWN);
    CHECK_INT(task.result.attempts, 2);
    CHECK_INT(task.result.last_status, 7);
    CHECK(task.result.elapsed_ms >= 1);
    event_happened(&task.may_end);
    event_wait(&task.destroyed, 1);
    amb_proxy_free(proxy);
}

static struct event gathered = EVENT_NONE, may_part = EVENT_NONE;

static int32_t gather(const amb_attempt *attempt, void *user_data)
{
    event_happened(&gathered);
    event_wait(&may_part, 1);
    return run(attempt, user_data);
}

TEST(functions_that_a_shutdown_left_unrun_are_not_counted_as_abandoned)
{
    /* On one processor a thread that is woken does not run at once. */
    cpu_set_t one;
    CHECK_INT(sched_getaffinity(0, sizeof one, &one), 0);
    for (int at = 0; CPU_COUNT(&one) > 1; at++)
        CPU_CLR(at, &one);
    CHECK_INT(sched_setaffinity(0, sizeof one, &one), 0);
    amb_options options = short_options(0);
    options.timeout_ms = AMB_NONE;
    amb_proxy *proxy = proxy_of(options);
    enum { COUNT = 200 };
    static struct task tasks[COUNT];
    /* First all at once, so that each has a thread; then again, while the threads sleep. */
    for (int round = 0; round < 2; round++) {
        for (int at = 0; at < COUNT; at++) {
            tasks[at] = (struct task)TASK(.status = 0);
            CHECK_INT(amb_proxy_spawn(proxy, round == 0 ? gather : run, &tasks[at], destroy, on_done, NULL), AMB_OK);
        }
        if (round == 0) {
            event_wait(&gathered, COUNT);
            event_happened(&may_part);
            for (int at = 0; at < COUNT; at++)
                event_wait(&tasks[at].destroyed, 1);
        }
    }
    amb_shutdown(0);
    int unrun = 0;
    for (int at = 0; at < COUNT; at++) {
        event_wait(&tasks[at].destroyed, 1);
        CHECK(tasks[at].result.status == AMB_OK || tasks[at].result.status == AMB_ERR_SHUTDOWN);
        unrun += tasks[at].runs == 0;
    }
    printf("%d functions left unrun\n", unrun);
    CHECK_INT(health_number(proxy, "\"abandoned\":"), 0);
    CHECK_INT(health_number(proxy, "\"in_flight\":"), 0);
    amb_proxy_free(proxy);
}
