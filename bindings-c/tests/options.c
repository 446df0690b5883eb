/* Settings of calls: defaults, and what each wrong one is answered with (C2). */
#include "refused.h"

#include <math.h>

CHECK_MAIN

TEST(a_configuration_from_code_holds_for_proxies_made_from_then_on)
{
    CHECK_INT(amb_configure("version: 1\ntargets: {payment-api.example.com: {max_retries: 7}}\n"), AMB_OK);
    CHECK_INT(amb_configure("version: 1\ntargets: {a.example.com: {max_retries: 0}}\n"), AMB_ERR_CONFIG);
    CHECK(strstr(amb_last_error(), "configuration:2:40: targets.a.example.com.max_retries: 0 is not allowed") != NULL);
    CHECK_INT(amb_configure(NULL), AMB_ERR_ARGUMENT);
    amb_proxy *proxy = proxy_of(short_options(1));
    amb_options policy;
    CHECK_INT(amb_options_init(&policy), AMB_OK);
    CHECK_INT(amb_proxy_policy(proxy, &policy), AMB_OK);
    CHECK_INT(policy.max_retries, 7);
    amb_proxy_free(proxy);
}

TEST(the_defaults_are_the_seeds)
{
    amb_options options;
    CHECK_INT(amb_options_init(&options), AMB_OK);
    CHECK_INT(options.size, sizeof options);
    CHECK_INT(options.max_retries, 3);
    CHECK(options.name == NULL);
    CHECK(options.timeout_ms == 2000);
    CHECK(isinf(options.deadline_ms));
    CHECK(options.backoff.base_ms == 2000 && options.backoff.factor == 2 && options.backoff.max_ms == 30000);
    CHECK_TEXT(options.backoff.jitter, "full");
    CHECK(options.backoff.hint_max_ms == 60000);
    CHECK(options.classify == NULL);
    CHECK(options.budget.enabled && options.budget.ratio == 0.2 && options.budget.min_per_second == 10);
    CHECK(options.budget.window_ms == 10000);
    CHECK(options.breaker.enabled && options.breaker.failure_rate == 0.5 && options.breaker.slow_rate == 1);
    CHECK(options.breaker.window_ms == 30000 && options.breaker.open_for_ms == 5000 && options.breaker.open_max_ms == 60000);
    CHECK_INT(options.breaker.min_calls, 20);
    CHECK_INT(options.breaker.probes, 3);
    CHECK_INT(options.breaker.consecutive_failures, 0);
    CHECK(options.breaker.slow_call_ms == AMB_NONE);
    CHECK(!options.bulkhead.enabled && options.bulkhead.queue_timeout_ms == AMB_NONE);
    CHECK_INT(options.bulkhead.max_concurrent, 0);
    CHECK_INT(options.bulkhead.max_queue, 0);
    CHECK(!options.rate_limit.enabled && options.rate_limit.rate == 0 && options.rate_limit.per_ms == 1000);
    CHECK_INT(options.rate_limit.burst, 0);
    CHECK(options.rate_limit.max_wait_ms == 0);
    CHECK(options.fallback == NULL && options.fallback_data == NULL);
    CHECK(!options.hedge.enabled && options.hedge.after_ms == 0 && !options.idempotent);
    CHECK_INT(options.hedge.max, 1);
}

TEST(the_policy_is_what_is_in_force_also_when_another_proxy_of_the_name_has_changed_it)
{
    amb_options options;
    CHECK_INT(amb_options_init(&options), AMB_OK);
    options.name = "two that differ";
    options.max_retries = 2;
    options.breaker.min_calls = 5;
    amb_proxy *first = NULL, *second = NULL;
    CHECK_INT(amb_proxy_new("payment-api.example.com", &options, &first), AMB_OK);
    options.max_retries = 4;
    options.breaker.min_calls = 7;
    CHECK_INT(amb_proxy_new("payment-api.example.com", &options, &second), AMB_OK);
    CHECK_INT(amb_proxy_policy(first, &options), AMB_OK);
    CHECK_INT(options.breaker.min_calls, 7);
    CHECK_INT(options.max_retries, 2);
    amb_proxy_free(first);
    amb_proxy_free(second);
}

TEST(no_options_are_the_defaults)
{
    amb_proxy *proxy = NULL;
    CHECK_INT(amb_proxy_new("payment-api.example.com", NULL, &proxy), AMB_OK);
    amb_options given, defaults;
    amb_options_init(&defaults);
    CHECK_INT(amb_proxy_policy(proxy, &given), AMB_OK);
    CHECK_TEXT(given.name, "payment-api.example.com");
    CHECK_INT(given.max_retries, defaults.max_retries);
    CHECK(given.timeout_ms == defaults.timeout_ms && given.deadline_ms == defaults.deadline_ms);
    CHECK(given.backoff.base_ms == defaults.backoff.base_ms && given.backoff.hint_max_ms == defaults.backoff.hint_max_ms);
    amb_proxy_free(proxy);
}

TEST(a_policy_is_what_was_set)
{
    amb_options options = short_options(1);
    options.max_retries = 7;
    options.name = "seven";
    options.timeout_ms = 0.5;
    options.deadline_ms = 90000;
    options.backoff = (amb_backoff){12.5, 3, 100, "decorrelated", 0};
    options.budget = (amb_budget){true, 0.5, 1, 20000};
    options.breaker = (amb_breaker){true, 0.25, 7, 1000, 5, 300, 0.75, 250, 2000, 2};
    options.bulkhead = (amb_bulkhead){true, 10, 20, 30};
    options.rate_limit = (amb_rate_limit){true, 0.5, 60000, 3, 40};
    options.hedge = (amb_hedge){true, 12.5, 3};
    options.idempotent = true;
    amb_proxy *proxy = proxy_of(options);
    amb_options given;
    CHECK_INT(amb_proxy_policy(proxy, &given), AMB_OK);
    CHECK_INT(given.max_retries, 7);
    CHECK_TEXT(given.name, "seven");
    CHECK(given.timeout_ms == 0.5 && given.deadline_ms == 90000);
    CHECK(given.backoff.base_ms == 12.5 && given.backoff.factor == 3 && given.backoff.max_ms == 100);
    CHECK_TEXT(given.backoff.jitter, "decorrelated");
    CHECK(given.backoff.hint_max_ms == 0);
    CHECK(given.budget.enabled && given.budget.ratio == 0.5 && given.budget.min_per_second == 1);
    CHECK(given.budget.window_ms == 20000);
    CHECK(given.breaker.enabled && given.breaker.failure_rate == 0.25 && given.breaker.slow_rate == 0.75);
    CHECK(given.breaker.window_ms == 1000 && given.breaker.slow_call_ms == 300);
    CHECK(given.breaker.open_for_ms == 250 && given.breaker.open_max_ms == 2000);
    CHECK_INT(given.breaker.min_calls, 7);
    CHECK_INT(given.breaker.consecutive_failures, 5);
    CHECK_INT(given.breaker.probes, 2);
    CHECK(given.bulkhead.enabled && given.bulkhead.queue_timeout_ms == 30);
    CHECK_INT(given.bulkhead.max_concurrent, 10);
    CHECK_INT(given.bulkhead.max_queue, 20);
    CHECK(given.rate_limit.enabled && given.rate_limit.rate == 0.5 && given.rate_limit.per_ms == 60000);
    CHECK_INT(given.rate_limit.burst, 3);
    CHECK(given.rate_limit.max_wait_ms == 40);
    CHECK(given.hedge.enabled && given.hedge.after_ms == 12.5 && given.idempotent);
    CHECK_INT(given.hedge.max, 3);
    amb_proxy_free(proxy);
}

TEST(a_group_is_on_or_off_as_a_whole)
{
    amb_options options = short_options(1);
    options.budget.enabled = options.breaker.enabled = false;
    /* Not looked at. */
    options.budget.ratio = -1;
    options.breaker.min_calls = -1;
    options.bulkhead.max_concurrent = -7;
    options.rate_limit.rate = NAN;
    options.hedge.max = -1;
    amb_proxy *proxy = proxy_of(options);
    amb_options given, defaults;
    CHECK_INT(amb_proxy_policy(proxy, &given), AMB_OK);
    amb_options_init(&defaults);
    CHECK(!given.budget.enabled && !given.breaker.enabled && !given.bulkhead.enabled && !given.rate_limit.enabled && !given.hedge.enabled);
    CHECK(given.budget.ratio == defaults.budget.ratio && given.breaker.min_calls == defaults.breaker.min_calls);
    CHECK_INT(health_number(proxy, "\"circuit\":null,\"budget\":null,\"bulkhead\":nul"), 0);
    amb_proxy_free(proxy);

    options = short_options(1);
    options.bulkhead.enabled = true;
    options.bulkhead.max_concurrent = AMB_ADAPTIVE;
    options.name = "adaptive";
    proxy = proxy_of(options);
    CHECK_INT(amb_proxy_policy(proxy, &given), AMB_OK);
    CHECK_INT(given.bulkhead.max_concurrent, AMB_ADAPTIVE);
    CHECK(given.bulkhead.enabled && given.bulkhead.queue_timeout_ms == AMB_NONE);
    amb_proxy_free(proxy);
}

TEST(each_wrong_setting_is_named_with_its_value_and_what_is_allowed)
{
    REFUSED(max_retries, 0, "max_retries", "0");
    CHECK_TEXT(amb_last_error(), "max_retries: 0 is not allowed; expected a whole number from 1 to 100");
    REFUSED(max_retries, -1, "max_retries", "-1");
    REFUSED(max_retries, 101, "max_retries", "101");
    REFUSED(timeout_ms, 0, "timeout_ms", "0");
    REFUSED(timeout_ms, -2000, "timeout_ms", "-2000");
    REFUSED(timeout_ms, NAN, "timeout_ms", "NaN");
    REFUSED(timeout_ms, -INFINITY, "timeout_ms", "-inf");
    REFUSED(timeout_ms, 1e300, "timeout_ms", "1e300");
    REFUSED(deadline_ms, 0, "deadline_ms", "0");
    REFUSED(backoff.base_ms, -1, "backoff.base_ms", "-1");
    REFUSED(backoff.base_ms, INFINITY, "backoff.base_ms", "inf");
    REFUSED(backoff.factor, 0.5, "backoff.factor", "0.5");
    REFUSED(backoff.factor, NAN, "backoff.factor", "NaN");
    REFUSED(backoff.max_ms, -1, "backoff.max_ms", "-1");
    REFUSED(backoff.hint_max_ms, -1, "backoff.hint_max_ms", "-1");
    REFUSED(backoff.jitter, "ful", "backoff.jitter", "\"ful\"");
    CHECK_TEXT(amb_last_error_allowed(), "one of full, equal, decorrelated, none");
    REFUSED(backoff.jitter, NULL, "backoff.jitter", "NULL");
    CHECK_TEXT(amb_last_error(), "backoff.jitter: NULL is not allowed; expected one of full, equal, decorrelated, none");
    REFUSED(budget.ratio, -1, "budget.ratio", "-1");
    REFUSED(budget.min_per_second, NAN, "budget.min_per_second", "NaN");
    REFUSED(budget.window_ms, 0, "budget.window_ms", "0");
    REFUSED(breaker.failure_rate, 0, "breaker.failure_rate", "0");
    REFUSED(breaker.min_calls, 0, "breaker.min_calls", "0");
    REFUSED(breaker.window_ms, AMB_NONE, "breaker.window_ms", "inf");
    REFUSED(breaker.consecutive_failures, -1, "breaker.consecutive_failures", "-1");
    CHECK_TEXT(amb_last_error_allowed(), "a whole number from 1 to 1000000, or 0 for none");
    REFUSED(breaker.slow_call_ms, 0, "breaker.slow_call_ms", "0");
    CHECK_TEXT(amb_last_error_allowed(), "a number of milliseconds above 0 and at most 31536000000, or AMB_NONE");
    REFUSED(breaker.slow_rate, 1.5, "breaker.slow_rate", "1.5");
    REFUSED(breaker.open_for_ms, 0, "breaker.open_for_ms", "0");
    REFUSED(breaker.open_max_ms, -1, "breaker.open_max_ms", "-1");
    REFUSED(breaker.probes, 17, "breaker.probes", "17");
    REFUSED(name, "", "name", "\"\"");
    REFUSED(name, "a\nb", "name", "\"a\\nb\"");
}

TEST(a_limit_has_to_be_told_its_number)
{
    REFUSED(bulkhead.enabled, true, "bulkhead.max_concurrent", "0");
    CHECK_TEXT(amb_last_error_allowed(), "a whole number from 1 to 1000000, or AMB_ADAPTIVE");
    REFUSED(rate_limit.enabled, true, "rate_limit.rate", "0");
    CHECK_TEXT(amb_last_error_allowed(), "a number from 0.000001 to 1000000000");
    REFUSED_OF(bulkhead, max_concurrent, 1, max_concurrent, -2, "-2");
    REFUSED_OF(bulkhead, max_concurrent, 1, max_queue, -1, "-1");
    REFUSED_OF(bulkhead, max_concurrent, 1, queue_timeout_ms, 0, "0");
    REFUSED_OF(rate_limit, rate, 1, rate, NAN, "NaN");
    REFUSED_OF(rate_limit, rate, 1, per_ms, 0, "0");
    REFUSED_OF(rate_limit, rate, 1, burst, -1, "-1");
    REFUSED_OF(rate_limit, rate, 1, max_wait_ms, -1, "-1");
}

TEST(a_hedge_is_told_when_it_begins_and_that_calls_may_be_made_twice)
{
    REFUSED(hedge.enabled, true, "hedge.after_ms", "0");
    CHECK_TEXT(amb_last_error_allowed(), "a number of milliseconds above 0 and at most 31536000000, or one of AMB_P50, AMB_P90, "
                                         "AMB_P95, AMB_P99");
    REFUSED_OF(hedge, after_ms, 50, after_ms, -1, "-1");
    REFUSED_OF(hedge, after_ms, 50, after_ms, AMB_NONE, "inf");
    REFUSED_OF(hedge, after_ms, 50, max, 0, "0");
    REFUSED_OF(hedge, after_ms, 50, max, 4, "4");
    amb_options options = short_options(1);
    options.hedge = (amb_hedge){true, AMB_P99, 1};
    refused(&options, "idempotent", "false");
    options.idempotent = true;
    const double quantiles[] = {AMB_P50, AMB_P90, AMB_P95, AMB_P99};
    for (int at = 0; at < 4; at++) {
        options.hedge.after_ms = quantiles[at];
        amb_proxy *proxy = proxy_of(options);
        amb_options given;
        CHECK_INT(amb_proxy_policy(proxy, &given), AMB_OK);
        CHECK(given.hedge.enabled && given.hedge.after_ms == quantiles[at] && given.idempotent);
        amb_proxy_free(proxy);
    }
    options.max_retries = 1;
    refused(&options, "max_retries", "1");
}

TEST(options_of_another_size_are_refused)
{
    amb_options zeroed;
    memset(&zeroed, 0, sizeof zeroed);
    refused(&zeroed, "size", "0");
    char shown[32];
    snprintf(shown, sizeof shown, "%zu", sizeof(amb_options) - 1);
    REFUSED(size, sizeof(amb_options) - 1, "size", shown);
    snprintf(shown, sizeof shown, "%zu", sizeof(amb_options) + 8);
    REFUSED(size, sizeof(amb_options) + 8, "size", shown);
    REFUSED(size, (size_t)-1, "size", "18446744073709551615");
}

TEST(text_that_is_no_utf8_is_refused)
{
    amb_proxy *proxy = NULL;
    CHECK_INT(amb_proxy_new("payment\xff.example.com", NULL, &proxy), AMB_ERR_CONFIG);
    CHECK(proxy == NULL);
    CHECK_TEXT(amb_last_error_field(), "target");
    amb_options options = short_options(1);
    options.name = "caf\xe9";
    CHECK_INT(amb_proxy_new("localhost", &options, &proxy), AMB_ERR_CONFIG);
    CHECK_TEXT(amb_last_error_value(), "\"caf\\xe9\", which is not UTF-8");
}

TEST(targets_that_are_no_hosts_are_refused)
{
    const char *const wrong[] = {"", " ", "two words", "host\n", "host/path", "user:secret@host", "ftp://host", "host:0",
                                 "host:65536", "https://host/pay?key=secret"};
    for (size_t at = 0; at < sizeof wrong / sizeof *wrong; at++) {
        amb_proxy *proxy = NULL;
        CHECK_INT(amb_proxy_new(wrong[at], NULL, &proxy), AMB_ERR_CONFIG);
        CHECK_TEXT(amb_last_error_field(), "target");
    }
}

TEST(the_effective_policy_tells_where_each_setting_comes_from)
{
    amb_options options;
    CHECK_INT(amb_options_init(&options), AMB_OK);
    options.max_retries = 5;
    options.backoff.base_ms = 250;
    options.auth.enabled = true;
    options.auth.bearer = "s3cret";
    amb_proxy *proxy = NULL;
    CHECK_INT(amb_proxy_new("payment-api.example.com", &options, &proxy), AMB_OK);
    char *json = amb_proxy_policy_json(proxy);
    CHECK(strstr(json, "[{\"field\":\"max_retries\",\"value\":5,\"origin\":\"constructor\"}") == json);
    CHECK(strstr(json, "{\"field\":\"timeout\",\"value\":\"2s\",\"origin\":\"default\"}") != NULL);
    CHECK(strstr(json, "{\"field\":\"backoff.base\",\"value\":\"250ms\",\"origin\":\"constructor\"}") != NULL);
    CHECK(strstr(json, "s3cret") == NULL);
    amb_string_free(json);
    char *spelled = amb_proxy_effective_policy(proxy);
    CHECK(strstr(spelled, "{\"field\":\"backoff.base_ms\",\"value\":250,\"origin\":\"constructor\"}") != NULL);
    CHECK(strstr(spelled, "{\"field\":\"auth.bearer\",\"value\":\"***\",\"origin\":\"constructor\"}") != NULL);
    amb_string_free(spelled);
    CHECK_INT(amb_proxy_free(proxy), AMB_OK);
    CHECK(amb_proxy_policy_json(proxy) == NULL && amb_proxy_effective_policy(proxy) == NULL);
}

/* The list of settings comes from the core; every one of them is a member of amb_options. */
TEST(every_setting_of_the_core_can_be_set)
{
    const char *const members[] = {
        "max_retries", "name", "timeout_ms", "deadline_ms", "backoff", "backoff.base_ms", "backoff.factor",
        "backoff.max_ms", "backoff.jitter", "backoff.hint_max_ms", "classify", "budget", "budget.ratio",
        "budget.min_per_second", "budget.window_ms", "breaker", "breaker.failure_rate", "breaker.min_calls",
        "breaker.window_ms", "breaker.consecutive_failures", "breaker.slow_call_ms", "breaker.slow_rate",
        "breaker.open_for_ms", "breaker.open_max_ms", "breaker.probes", "bulkhead", "bulkhead.max_concurrent",
        "bulkhead.max_queue", "bulkhead.queue_timeout_ms", "rate_limit", "rate_limit.rate", "rate_limit.per_ms",
        "rate_limit.burst", "rate_limit.max_wait_ms", "hedge", "hedge.after_ms", "hedge.max", "idempotent", "fallback",
        "endpoints", "discovery", "discovery.dns", "discovery.srv", "discovery.file", "discovery.servers",
        "discovery.refresh_ms", "balance", "hash_on", "zone", "slow_start_ms", "outlier", "outlier.consecutive_failures",
        "outlier.base_ms", "outlier.max_ms", "outlier.max_ejected", "outlier.panic", "health_check", "health_check.path",
        "health_check.tcp", "health_check.interval_ms", "health_check.timeout_ms", "health_check.unhealthy",
        "health_check.healthy", "tls", "tls.ca", "tls.cert", "tls.key", "tls.server_name", "tls.min_version", "tls.pins",
        "tls.dangerous_accept_invalid_certificates", "auth", "auth.bearer", "auth.bearer_env", "auth.bearer_file",
        "auth.username", "auth.password", "auth.api_key", "auth.api_key_header", "auth.token_url", "auth.client_id",
        "auth.client_secret", "auth.scope", "headers", "idempotency_key", "http", "http.version", "http.max_header_bytes",
        "http.max_body_bytes", "http.replay_bytes", "http.follow_redirects", "http.decompress",
        "http.proxy_from_environment", "http.attempt_headers", "http.max_connections", "http.idle_timeout_ms",
    };
    char *settings = amb_settings();
    size_t count = 0;
    for (const char *at = settings; (at = strstr(at, "{\"name\":\"")) != NULL; count++) {
        at += strlen("{\"name\":\"");
        const size_t length = strcspn(at, "\"");
        CHECK(count < sizeof members / sizeof *members);
        CHECK(strlen(members[count]) == length && strncmp(at, members[count], length) == 0);
    }
    CHECK_INT(count, sizeof members / sizeof *members);
    amb_string_free(settings);
}
