/* Fork, and the end of the process. */
#include "common.h"

#include <sys/wait.h>
#include <unistd.h>

CHECK_MAIN

static int32_t fine(const amb_attempt *attempt, void *user_data)
{
    (void)user_data;
    return amb_attempt_number(attempt) == 1 ? 1 : 0;
}

static void tell(const amb_result *result, void *user_data)
{
    (void)result;
    event_happened(user_data);
}

static void spawn_and_wait(amb_proxy *proxy)
{
    static struct event done = EVENT_NONE;
    const int before = done.count;
    CHECK_INT(amb_proxy_spawn(proxy, fine, &done, NULL, tell, NULL), AMB_OK);
    event_wait(&done, before + 1);
}

/* The child's own exit status: 0 when it did all that it should. */
static int child_status(pid_t child)
{
    int status = 0;
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    return WEXITSTATUS(status);
}

TEST(a_forked_child_works_after_its_parent_did)
{
    amb_proxy *proxy = proxy_of(short_options(1));
    CHECK_INT(amb_proxy_call(proxy, fine, NULL, NULL), AMB_OK);
    spawn_and_wait(proxy);
    for (int child = 0; child < 4; child++) {
        const pid_t pid = fork();
        if (pid == 0) {
            CHECK_INT(amb_proxy_call(proxy, fine, NULL, NULL), AMB_OK);
            spawn_and_wait(proxy);
            CHECK_INT(health_number(proxy, "\"in_flight\":"), 0);
            exit(0);
        }
        CHECK_INT(child_status(pid), 0);
    }
    spawn_and_wait(proxy);
    amb_proxy_free(proxy);
}

struct hung {
    struct event started, may_end, done;
};

static int32_t hang(const amb_attempt *attempt, void *user_data)
{
    struct hung *hung = user_data;
    (void)attempt;
    event_happened(&hung->started);
    event_wait(&hung->may_end, 1);
    return 0;
}

static void hung_done(const amb_result *result, void *user_data)
{
    struct hung *hung = user_data;
    CHECK_INT(result->status, AMB_OK);
    event_happened(&hung->done);
}

TEST(a_call_in_flight_belongs_to_the_parent_alone)
{
    amb_options options = short_options(1);
    options.timeout_ms = AMB_NONE;
    amb_proxy *proxy = proxy_of(options);
    struct hung hung = {EVENT_NONE, EVENT_NONE, EVENT_NONE};
    amb_call *call = NULL;
    CHECK_INT(amb_proxy_spawn(proxy, hang, &hung, NULL, hung_done, &call), AMB_OK);
    event_wait(&hung.started, 1);
    CHECK_INT(health_number(proxy, "\"in_flight\":"), 1);
    const pid_t pid = fork();
    if (pid == 0) {
        CHECK_INT(health_number(proxy, "\"in_flight\":"), 0);
        CHECK_INT(amb_call_cancel(call), AMB_ERR_FORKED);
        spawn_and_wait(proxy);
        CHECK_INT(amb_shutdown(10000), AMB_OK);
        exit(0);
    }
    CHECK_INT(child_status(pid), 0);
    event_happened(&hung.may_end);
    event_wait(&hung.done, 1);
    amb_proxy_free(proxy);
}

struct forking {
    amb_proxy *proxy;
    uint32_t at;
    int32_t status;
    int ran;
    pid_t child;
};

/* Fails until that attempt, which returns from both processes. */
static int32_t fork_and_return(const amb_attempt *attempt, void *user_data)
{
    struct forking *forking = user_data;
    forking->ran++;
    if (amb_attempt_number(attempt) < forking->at)
        return 7;
    CHECK_INT(amb_attempt_number(attempt), forking->at);
    amb_call *call = amb_attempt_call(attempt);
    forking->child = fork();
    if (forking->child != 0)
        return 0;
    CHECK_INT(amb_call_cancel(call), AMB_ERR_FORKED);
    return forking->status;
}

static int32_t see_itself_in_flight(const amb_attempt *attempt, void *user_data)
{
    (void)attempt;
    CHECK_INT(health_number(user_data, "\"in_flight\":"), 1);
    return 0;
}

TEST(a_child_that_returns_through_its_parents_call_is_told_so)
{
    amb_set_log(NULL, NULL);
    const double waits[] = {0, 1};
    const int32_t statuses[] = {0, 7, AMB_CANCELLED};
    for (int at = 0; at < 12; at++) {
        amb_options options = short_options(waits[at % 2]);
        amb_proxy *proxy = proxy_of(options);
        struct forking forking = {.proxy = proxy, .at = (uint32_t)(at / 6) + 1, .status = statuses[at / 2 % 3]};
        amb_result result;
        const int32_t status = amb_proxy_call(proxy, fork_and_return, &forking, &result);
        CHECK_INT(forking.ran, forking.at);
        CHECK_INT(result.attempts, forking.at);
        if (forking.child == 0) {
            CHECK_INT(status, AMB_ERR_FORKED);
            CHECK_INT(result.status, AMB_ERR_FORKED);
            CHECK(strstr(result.message, "payment-api.example.com: ") == result.message);
            CHECK(strstr(result.message, "belongs to the parent") != NULL);
            CHECK_INT(health_number(proxy, "\"in_flight\":"), 0);
            CHECK_INT(amb_proxy_call(proxy, see_itself_in_flight, proxy, NULL), AMB_OK);
            CHECK_INT(health_number(proxy, "\"calls\":{\"ok\":"), 1);
            CHECK_INT(health_number(proxy, "\"cancelled\":"), 0);
            spawn_and_wait(proxy);
            CHECK_INT(amb_shutdown(10000), AMB_OK);
            exit(0);
        }
        CHECK_INT(child_status(forking.child), 0);
        CHECK_INT(status, AMB_OK);
        CHECK_INT(health_number(proxy, "\"in_flight\":"), 0);
        CHECK_INT(health_number(proxy, "\"calls\":{\"ok\":"), 1);
        amb_proxy_free(proxy);
    }
}

static int32_t call_one_that_forks(const amb_attempt *attempt, void *user_data)
{
    struct forking *forking = user_data;
    CHECK_INT(amb_attempt_number(attempt), 1);
    const int32_t status = amb_proxy_call(forking->proxy, fork_and_return, forking, NULL);
    CHECK_INT(status, forking->child == 0 ? AMB_ERR_FORKED : AMB_OK);
    return forking->child == 0 ? 7 : AMB_OK;
}

TEST(a_child_that_returns_through_two_calls_is_told_by_both)
{
    amb_proxy *proxy = proxy_of(short_options(1));
    struct forking forking = {.proxy = proxy, .at = 2, .status = 0};
    const int32_t status = amb_proxy_call(proxy, call_one_that_forks, &forking, NULL);
    if (forking.child == 0) {
        CHECK_INT(status, AMB_ERR_FORKED);
        CHECK_INT(amb_proxy_call(proxy, see_itself_in_flight, proxy, NULL), AMB_OK);
        exit(0);
    }
    CHECK_INT(child_status(forking.child), 0);
    CHECK_INT(status, AMB_OK);
    CHECK_INT(health_number(proxy, "\"in_flight\":"), 0);
    amb_proxy_free(proxy);
}

static pid_t parent;

static int32_t fork_on_a_thread_of_the_ambassadors(const amb_attempt *attempt, void *user_data)
{
    (void)user_data;
    CHECK_INT(getpid(), parent);
    CHECK_INT(amb_attempt_number(attempt), 1);
    const pid_t child = fork();
    if (child == 0)
        return 7;
    CHECK_INT(child_status(child), 0);
    return 0;
}

static void told_in_the_parent(const amb_result *result, void *user_data)
{
    CHECK_INT(getpid(), parent);
    CHECK_INT(result->status, AMB_OK);
    event_happened(user_data);
}

TEST(a_child_that_returns_from_a_spawned_function_ends)
{
    parent = getpid();
    amb_options options = short_options(0);
    options.timeout_ms = AMB_NONE;
    amb_proxy *proxy = proxy_of(options);
    struct event done = EVENT_NONE;
    const double began = now_ms();
    CHECK_INT(amb_proxy_spawn(proxy, fork_on_a_thread_of_the_ambassadors, &done, NULL, told_in_the_parent, NULL), AMB_OK);
    event_wait(&done, 1);
    CHECK(now_ms() - began < 8000);
    amb_proxy_free(proxy);
}

TEST(a_child_that_returns_from_a_hedged_function_ends_though_its_caller_waited)
{
    parent = getpid();
    amb_options options = short_options(0);
    options.timeout_ms = AMB_NONE;
    options.hedge = (amb_hedge){true, 3600000, 1};
    options.idempotent = true;
    amb_proxy *proxy = proxy_of(options);
    CHECK_INT(amb_proxy_call(proxy, fork_on_a_thread_of_the_ambassadors, NULL, NULL), AMB_OK);
    CHECK_INT(getpid(), parent);
    amb_proxy_free(proxy);
}

TEST(a_child_has_threads_though_functions_of_its_parents_took_all_of_them)
{
    enum { PLACES = 256 };
    amb_options options = short_options(0);
    options.timeout_ms = AMB_NONE;
    amb_proxy *proxy = proxy_of(options);
    struct hung hung = {EVENT_NONE, EVENT_NONE, EVENT_NONE};
    for (int at = 0; at < PLACES; at++)
        CHECK_INT(amb_proxy_spawn(proxy, hang, &hung, NULL, hung_done, NULL), AMB_OK);
    event_wait(&hung.started, PLACES);
    const pid_t pid = fork();
    if (pid == 0) {
        spawn_and_wait(proxy);
        exit(0);
    }
    CHECK_INT(child_status(pid), 0);
    event_happened(&hung.may_end);
    event_wait(&hung.done, PLACES);
    amb_proxy_free(proxy);
}

static void given_up(const amb_result *result, void *user_data)
{
    struct hung *hung = user_data;
    CHECK_INT(result->status, AMB_ERR_TIMEOUT);
    event_happened(&hung->done);
}

static void end_with_a_hung_function(void (*end)(int))
{
    const double began = now_ms();
    const pid_t pid = fork();
    if (pid == 0) {
        amb_options options = short_options(1);
        options.timeout_ms = 20;
        options.max_retries = 1;
        amb_proxy *proxy = proxy_of(options);
        static struct hung hung = {EVENT_NONE, EVENT_NONE, EVENT_NONE};
        /* Until one begins within its bound, and is given up. */
        for (int spawned = 1; hung.started.count == 0; spawned++) {
            CHECK_INT(amb_proxy_spawn(proxy, hang, &hung, NULL, given_up, NULL), AMB_OK);
            event_wait(&hung.done, spawned);
        }
        end(0);
    }
    CHECK_INT(child_status(pid), 0);
    CHECK(now_ms() - began < 10000);
}

TEST(a_process_ends_at_once_though_a_function_hangs)
{
    end_with_a_hung_function(exit);
    end_with_a_hung_function(_exit);
}

TEST(nothing_runs_before_the_first_use)
{
    CHECK_TEXT(amb_version(), "0.1.0");
    amb_proxy *proxy = proxy_of(short_options(1));
    struct script script = {.statuses = {0}};
    CHECK_INT(amb_proxy_call(proxy, play, &script, NULL), AMB_OK);
    /* One thread: this one. */
    FILE *status = fopen("/proc/self/status", "r");
    char line[256];
    long threads = 0;
    while (status != NULL && fgets(line, sizeof line, status) != NULL)
        sscanf(line, "Threads: %ld", &threads);
    CHECK_INT(threads, 1);
    fclose(status);
    amb_proxy_free(proxy);
}
