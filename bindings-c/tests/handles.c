/* Handles that are none, and what is left behind. */
#include "common.h"

CHECK_MAIN

static int32_t never(const amb_attempt *attempt, void *user_data)
{
    (void)attempt;
    (void)user_data;
    CHECK(!"this function is not to be run");
    return 0;
}

static void no_event(const char *event, void *listener_data)
{
    (void)event;
    (void)listener_data;
    CHECK(!"nothing is to be told");
}

/* Every function that takes a proxy, with one that is none. */
static void all_refuse(amb_proxy *none, const char *why)
{
    amb_result result;
    CHECK_INT(amb_proxy_call(none, never, NULL, &result), AMB_ERR_ARGUMENT);
    CHECK_INT(result.status, AMB_ERR_ARGUMENT);
    CHECK_INT(result.attempts, 0);
    CHECK(strstr(result.message, why) != NULL);
    CHECK_INT(amb_proxy_spawn(none, never, NULL, NULL, NULL, NULL), AMB_ERR_ARGUMENT);
    CHECK(strstr(amb_last_error(), why) != NULL);
    CHECK(amb_proxy_health(none) == NULL);
    amb_options options;
    CHECK_INT(amb_proxy_policy(none, &options), AMB_ERR_ARGUMENT);
    CHECK_INT(amb_proxy_isolate(none), AMB_ERR_ARGUMENT);
    CHECK_INT(amb_proxy_reset(none), AMB_ERR_ARGUMENT);
    CHECK_INT(amb_proxy_on_event(none, no_event, NULL), AMB_ERR_ARGUMENT);
    CHECK_INT(amb_test_seed_jitter(none, 1), AMB_ERR_ARGUMENT);
}

TEST(a_null_proxy_is_refused)
{
    all_refuse(NULL, "proxy is null");
    CHECK_INT(amb_proxy_free(NULL), AMB_OK);
}

TEST(a_proxy_that_was_freed_is_refused)
{
    amb_proxy *proxy = proxy_of(short_options(1));
    CHECK_INT(amb_proxy_free(proxy), AMB_OK);
    all_refuse(proxy, "freed already");
    CHECK_INT(amb_proxy_free(proxy), AMB_ERR_ARGUMENT);
    CHECK(strstr(amb_last_error(), "freed already") != NULL);
    /* Also when its place has been taken by another. */
    amb_proxy *next = proxy_of(short_options(1));
    CHECK(next != proxy);
    CHECK_INT(amb_proxy_free(proxy), AMB_ERR_ARGUMENT);
    all_refuse(proxy, "freed already");
    CHECK_INT(amb_proxy_free(next), AMB_OK);
}

TEST(a_pointer_to_something_else_is_refused)
{
    int something = 0;
    all_refuse((amb_proxy *)(void *)&something, "no proxy");
    CHECK_INT(amb_proxy_free((amb_proxy *)(void *)&something), AMB_ERR_ARGUMENT);
    CHECK_INT(amb_call_cancel((amb_call *)(void *)&something), AMB_ERR_ARGUMENT);
    CHECK_INT(amb_call_cancel(NULL), AMB_ERR_ARGUMENT);
}

TEST(arguments_that_are_null_are_named)
{
    amb_proxy *proxy = proxy_of(short_options(1));
    CHECK_INT(amb_proxy_call(proxy, NULL, NULL, NULL), AMB_ERR_ARGUMENT);
    CHECK_TEXT(amb_last_error(), "amb_proxy_call: function is null");
    CHECK_INT(amb_proxy_spawn(proxy, NULL, NULL, NULL, NULL, NULL), AMB_ERR_ARGUMENT);
    CHECK_TEXT(amb_last_error(), "amb_proxy_spawn: function is null");
    CHECK_INT(amb_proxy_policy(proxy, NULL), AMB_ERR_ARGUMENT);
    CHECK_INT(amb_proxy_on_event(proxy, NULL, NULL), AMB_ERR_ARGUMENT);
    CHECK_TEXT(amb_last_error(), "amb_proxy_on_event: listener is null");
    CHECK_INT(amb_proxy_new("localhost", NULL, NULL), AMB_ERR_ARGUMENT);
    amb_proxy *none = proxy;
    CHECK_INT(amb_proxy_new(NULL, NULL, &none), AMB_ERR_ARGUMENT);
    CHECK(none == NULL);
    CHECK_TEXT(amb_last_error(), "amb_proxy_new: target is null");
    CHECK(amb_last_error_field() == NULL);
    CHECK_INT(amb_options_init(NULL), AMB_ERR_ARGUMENT);
    amb_string_free(NULL);
    amb_proxy_free(proxy);
}

static int32_t free_the_proxy(const amb_attempt *attempt, void *user_data)
{
    if (amb_attempt_number(attempt) == 1) {
        CHECK_INT(amb_proxy_free(user_data), AMB_OK);
        return 1;
    }
    CHECK_TEXT(amb_attempt_endpoint(attempt), "payment-api.example.com");
    return 0;
}

TEST(a_proxy_freed_by_its_own_function_lets_the_call_end)
{
    amb_proxy *proxy = proxy_of(short_options(1));
    CHECK_INT(amb_proxy_call(proxy, free_the_proxy, proxy, NULL), AMB_OK);
    CHECK_INT(amb_proxy_free(proxy), AMB_ERR_ARGUMENT);
}

TEST(proxies_of_one_target_share_its_state_and_a_name_sets_them_apart)
{
    amb_options options = short_options(1);
    amb_proxy *one = proxy_of(options), *two = proxy_of(options);
    options.name = "payments-batch";
    amb_proxy *apart = proxy_of(options);
    struct script script = {.statuses = {0}};
    CHECK_INT(amb_proxy_call(one, play, &script, NULL), AMB_OK);
    CHECK_INT(health_number(two, "\"calls\":{\"ok\":"), 1);
    CHECK_INT(health_number(apart, "\"calls\":{\"ok\":"), 0);
    amb_proxy_free(one);
    amb_proxy_free(two);
    amb_proxy_free(apart);
}

TEST(ten_thousand_proxies_come_and_go)
{
    enum { COUNT = 10000 };
    static amb_proxy *proxies[COUNT];
    amb_options options = short_options(1);
    options.name = "one of many";
    for (int at = 0; at < COUNT; at++)
        proxies[at] = proxy_of(options);
    for (int at = 0; at < COUNT; at++)
        CHECK_INT(amb_proxy_free(proxies[at]), AMB_OK);
    for (int at = 0; at < COUNT; at++)
        CHECK_INT(amb_proxy_free(proxies[at]), AMB_ERR_ARGUMENT);
}

static int32_t use_everything(const amb_attempt *attempt, void *user_data)
{
    (void)user_data;
    CHECK(amb_attempt_header(attempt, "idempotency-key") != NULL);
    CHECK(amb_attempt_call(attempt) != NULL);
    amb_attempt_set_error(attempt, "an error that is told");
    return amb_attempt_number(attempt) == 1 ? 1 : 0;
}

static void released(void *user_data)
{
    int *data = user_data;
    free(data);
}

static void told(const amb_result *result, void *user_data)
{
    (void)user_data;
    CHECK_INT(result->status, AMB_OK);
}

static void count_event(const char *event, void *listener_data)
{
    CHECK(event[0] == '{' && event[strlen(event) - 1] == '}');
    ++*(long *)listener_data;
}

/* Run by valgrind as well. */
TEST(ten_thousand_calls_leave_nothing_behind)
{
    amb_set_log(NULL, NULL);
    amb_options options = untiring_options(0);
    options.bulkhead.enabled = true;
    options.bulkhead.max_concurrent = 2;
    options.bulkhead.max_queue = 2;
    options.rate_limit.enabled = true;
    options.rate_limit.rate = 1e9;
    amb_proxy *told_of = proxy_of(options);
    long events = 0;
    CHECK_INT(amb_proxy_on_event(told_of, count_event, &events), AMB_OK);
    amb_proxy_free(told_of);
    for (int round = 0; round < 100; round++) {
        amb_proxy *proxy = proxy_of(options);
        for (int call = 0; call < 98; call++)
            CHECK_INT(amb_proxy_call(proxy, use_everything, NULL, NULL), AMB_OK);
        for (int call = 0; call < 2; call++) {
            int *data = malloc(sizeof *data);
            CHECK_INT(amb_proxy_spawn(proxy, use_everything, data, released, told, NULL), AMB_OK);
        }
        amb_string_free(amb_proxy_health(proxy));
        amb_proxy *none;
        CHECK_INT(amb_proxy_new("two words", NULL, &none), AMB_ERR_CONFIG);
        CHECK_INT(amb_proxy_free(proxy), AMB_OK);
    }
    CHECK_INT(amb_shutdown(60000), AMB_OK);
}
