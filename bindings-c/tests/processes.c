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
        CHECK_INT(amb_proxy_spawn(proxy, hang, &hung, NULL, NULL, NULL), AMB_OK);
        event_wait(&hung.started, 1);
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
