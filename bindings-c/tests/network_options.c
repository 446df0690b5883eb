/* Settings of networking: defaults, what comes back of them, and what each wrong one is answered with (C2). */
#include "refused.h"

CHECK_MAIN

static bool nothing(const char *const *texts, int count)
{
    for (int at = 0; at < count; at++)
        if (texts[at] != NULL)
            return false;
    return true;
}

TEST(nothing_is_discovered_checked_or_sent_along_by_default)
{
    amb_options options;
    CHECK_INT(amb_options_init(&options), AMB_OK);
    CHECK(options.endpoints == NULL && options.endpoints_count == 0);
    CHECK(options.headers == NULL && options.headers_count == 0);
    CHECK(!options.discovery.enabled && options.discovery.servers_count == 0 && options.discovery.refresh_ms == 30000);
    CHECK_TEXT(options.balance, "p2c");
    CHECK(options.slow_start_ms == AMB_NONE);
    CHECK(options.outlier.enabled && options.outlier.base_ms == 30000 && options.outlier.max_ms == 300000);
    CHECK(options.outlier.max_ejected == 0.1 && options.outlier.panic == 0.5);
    CHECK_INT(options.outlier.consecutive_failures, 5);
    CHECK(!options.health_check.enabled && !options.health_check.tcp && options.health_check.interval_ms == 10000);
    CHECK(options.health_check.timeout_ms == 1000);
    CHECK_INT(options.health_check.unhealthy, 3);
    CHECK_INT(options.health_check.healthy, 2);
    CHECK_TEXT(options.tls.min_version, "1.2");
    CHECK(!options.tls.dangerous_accept_invalid_certificates && options.tls.pins_count == 0);
    CHECK(!options.auth.enabled);
    CHECK_TEXT(options.idempotency_key, "off");
    CHECK_TEXT(options.http.version, "auto");
    CHECK_INT(options.http.max_header_bytes, 65536);
    CHECK_INT(options.http.max_body_bytes, 67108864);
    CHECK_INT(options.http.replay_bytes, 1048576);
    CHECK_INT(options.http.follow_redirects, 0);
    CHECK_INT(options.http.max_connections, 100);
    CHECK(options.http.decompress && !options.http.proxy_from_environment && !options.http.attempt_headers);
    CHECK(options.http.idle_timeout_ms == 60000);
    const char *const texts[] = {options.hash_on, options.zone, options.discovery.dns, options.discovery.srv,
                                 options.discovery.file, options.health_check.path, options.tls.ca, options.tls.cert,
                                 options.tls.key, options.tls.server_name, options.auth.bearer, options.auth.api_key_header};
    CHECK(nothing(texts, sizeof texts / sizeof *texts));
}

TEST(what_is_set_comes_back_and_outlives_what_it_was_read_from)
{
    amb_options options = short_options(1);
    char url[] = "http://10.0.0.7:8080", zone[] = "a", said[] = "blue";
    const amb_pair metadata[] = {{"colour", said}, {"rack", "7"}};
    const amb_endpoint endpoints[] = {{url, 3, zone, metadata, 2}, {.url = "10.0.0.8"}};
    const char pin[] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    const char *const pins[] = {pin, pin};
    const amb_pair headers[] = {{"X-Team", "payments"}};
    options.endpoints = endpoints;
    options.endpoints_count = 2;
    options.balance = "ring_hash";
    options.hash_on = "header:X-User";
    options.zone = zone;
    options.slow_start_ms = 5000;
    options.outlier = (amb_outlier){true, 7, 1000, 2000, 0.5, 0};
    options.health_check = (amb_health_check){true, "/health", false, 250, 125, 4, 5};
    options.tls.server_name = "api.example.com";
    options.tls.min_version = "1.3";
    options.tls.pins = pins;
    options.tls.pins_count = 2;
    options.headers = headers;
    options.headers_count = 1;
    options.idempotency_key = "auto";
    options.http = (amb_http){"2", 8192, 1, 0, 20, false, true, true, 7, 1500};
    amb_proxy *proxy = proxy_of(options);
    memset(url, 'x', strlen(url));
    memset(zone, 'x', strlen(zone));
    memset(said, 'x', strlen(said));

    amb_options given;
    CHECK_INT(amb_proxy_policy(proxy, &given), AMB_OK);
    CHECK_INT(given.endpoints_count, 2);
    CHECK_TEXT(given.endpoints[0].url, "http://10.0.0.7:8080");
    CHECK_TEXT(given.endpoints[0].zone, "a");
    CHECK_INT(given.endpoints[0].weight, 3);
    CHECK_INT(given.endpoints[0].metadata_count, 2);
    CHECK_TEXT(given.endpoints[0].metadata[0].name, "colour");
    CHECK_TEXT(given.endpoints[0].metadata[0].value, "blue");
    CHECK_TEXT(given.endpoints[1].url, "10.0.0.8");
    CHECK(given.endpoints[1].weight == 1 && given.endpoints[1].zone == NULL && given.endpoints[1].metadata == NULL);
    CHECK_TEXT(given.balance, "ring_hash");
    CHECK_TEXT(given.hash_on, "header:x-user");
    CHECK_TEXT(given.zone, "a");
    CHECK(given.slow_start_ms == 5000);
    CHECK(given.outlier.enabled && given.outlier.consecutive_failures == 7 && given.outlier.base_ms == 1000);
    CHECK(given.outlier.max_ms == 2000 && given.outlier.max_ejected == 0.5 && given.outlier.panic == 0);
    CHECK(given.health_check.enabled && !given.health_check.tcp && given.health_check.interval_ms == 250);
    CHECK_TEXT(given.health_check.path, "/health");
    CHECK(given.health_check.timeout_ms == 125 && given.health_check.unhealthy == 4 && given.health_check.healthy == 5);
    CHECK_TEXT(given.tls.server_name, "api.example.com");
    CHECK_TEXT(given.tls.min_version, "1.3");
    CHECK_INT(given.tls.pins_count, 2);
    CHECK_TEXT(given.tls.pins[1], pin);
    CHECK_TEXT(given.idempotency_key, "auto");
    CHECK_TEXT(given.http.version, "2");
    CHECK(given.http.max_header_bytes == 8192 && given.http.max_body_bytes == 1 && given.http.replay_bytes == 0);
    CHECK(given.http.follow_redirects == 20 && !given.http.decompress && given.http.proxy_from_environment);
    CHECK(given.http.attempt_headers && given.http.max_connections == 7 && given.http.idle_timeout_ms == 1500);

    /* Asked for again, it is the same, in the same place. */
    amb_options again;
    CHECK_INT(amb_proxy_policy(proxy, &again), AMB_OK);
    CHECK(again.endpoints == given.endpoints && again.hash_on == given.hash_on);
    amb_proxy_free(proxy);
}

TEST(a_group_of_kinds_comes_back_as_the_one_that_was_chosen)
{
    amb_options options = short_options(1), given;
    const char *const servers[] = {"127.0.0.1:5353", "::1"};
    options.discovery.enabled = true;
    options.discovery.srv = "_http._tcp.payment-api.example.com";
    options.discovery.servers = servers;
    options.discovery.servers_count = 2;
    options.health_check.enabled = true;
    options.health_check.tcp = true;
    amb_proxy *proxy = proxy_of(options);
    CHECK_INT(amb_proxy_policy(proxy, &given), AMB_OK);
    CHECK(given.discovery.enabled && given.discovery.dns == NULL && given.discovery.file == NULL);
    CHECK_TEXT(given.discovery.srv, "_http._tcp.payment-api.example.com");
    CHECK_INT(given.discovery.servers_count, 2);
    CHECK_TEXT(given.discovery.servers[0], "127.0.0.1:5353");
    CHECK_TEXT(given.discovery.servers[1], "[::1]:53");
    CHECK(given.health_check.enabled && given.health_check.tcp && given.health_check.path == NULL);
    amb_proxy_free(proxy);
}

static amb_options policy_of(amb_auth auth, amb_proxy **proxy)
{
    amb_options options = short_options(1), given;
    options.auth = auth;
    *proxy = proxy_of(options);
    CHECK_INT(amb_proxy_policy(*proxy, &given), AMB_OK);
    CHECK(given.auth.enabled);
    return given;
}

TEST(secrets_do_not_come_back)
{
    amb_proxy *proxy;
    amb_options given = policy_of((amb_auth){.enabled = true, .bearer = "tok-7"}, &proxy);
    CHECK_TEXT(given.auth.bearer, "***");
    CHECK(given.auth.username == NULL);
    amb_proxy_free(proxy);
    given = policy_of((amb_auth){.enabled = true, .username = "shop", .password = "tok-7"}, &proxy);
    CHECK_TEXT(given.auth.username, "shop");
    CHECK_TEXT(given.auth.password, "***");
    amb_proxy_free(proxy);
    given = policy_of((amb_auth){.enabled = true, .api_key = "tok-7"}, &proxy);
    CHECK_TEXT(given.auth.api_key, "***");
    CHECK_TEXT(given.auth.api_key_header, "x-api-key");
    amb_proxy_free(proxy);
    given = policy_of((amb_auth){.enabled = true, .token_url = "https://id.example.com/token", .client_id = "shop",
                                 .client_secret = "tok-7", .scope = "charge"}, &proxy);
    CHECK_TEXT(given.auth.token_url, "https://id.example.com/token");
    CHECK_TEXT(given.auth.client_id, "shop");
    CHECK_TEXT(given.auth.client_secret, "***");
    CHECK_TEXT(given.auth.scope, "charge");
    amb_proxy_free(proxy);
    given = policy_of((amb_auth){.enabled = true, .bearer_env = "TOKEN"}, &proxy);
    CHECK_TEXT(given.auth.bearer_env, "TOKEN");
    amb_proxy_free(proxy);
    amb_options options = short_options(1);
    const amb_pair headers[] = {{"Cookie", "tok-7"}};
    options.headers = headers;
    options.headers_count = 1;
    proxy = proxy_of(options);
    CHECK_INT(amb_proxy_policy(proxy, &given), AMB_OK);
    CHECK_TEXT(given.headers[0].name, "cookie");
    CHECK_TEXT(given.headers[0].value, "***");
    amb_proxy_free(proxy);
}

#define REFUSED_LIST(MEMBER, LIST, COUNT, FIELD, SHOWN) \
    do {                                                \
        amb_options options = short_options(1);         \
        options.MEMBER = LIST;                          \
        options.MEMBER##_count = COUNT;                 \
        refused(&options, FIELD, SHOWN);                \
    } while (0)

TEST(each_wrong_setting_is_named_with_its_value_and_what_is_allowed)
{
    const amb_endpoint path[] = {{.url = "http://host/path"}}, heavy[] = {{.url = "host", .weight = 1001}}, none[] = {{.zone = "a"}};
    REFUSED_LIST(endpoints, path, 1, "endpoints", "[{\"url\": \"http://host/path\"}]");
    CHECK_TEXT(amb_last_error_allowed(), "a list of hosts or http:// or https:// URLs without a path, or of groups of url, weight "
                                         "(1 to 1000), zone and metadata, or NULL");
    REFUSED_LIST(endpoints, heavy, 1, "endpoints", "[{\"url\": \"host\", \"weight\": 1001}]");
    REFUSED_LIST(endpoints, none, 1, "endpoints", "[{\"url\": NULL, \"zone\": \"a\"}]");
    REFUSED_LIST(endpoints, NULL, 1, "endpoints", "NULL");

    const char *const servers[] = {"name.example.com"}, *const nulls[] = {NULL};
    amb_options options = short_options(1);
    options.discovery = (amb_discovery){true, "host", NULL, NULL, servers, 1, 30000};
    refused(&options, "discovery.servers", "[\"name.example.com\"]");
    options.discovery.servers = nulls;
    refused(&options, "discovery.servers", "[NULL]");
    options.discovery.servers = NULL;
    refused(&options, "discovery.servers", "NULL");
    CHECK_TEXT(amb_last_error_allowed(), "a list of IP addresses, with ports if needed, or NULL");
    options.discovery.servers_count = 0;
    options.discovery.refresh_ms = 0;
    refused(&options, "discovery.refresh_ms", "0");
    REFUSED(balance, "fastest", "balance", "\"fastest\"");
    CHECK_TEXT(amb_last_error_allowed(), "one of p2c, round_robin, least_request, random, ring_hash, maglev");
    REFUSED(hash_on, "path", "hash_on", "\"path\"");
    REFUSED(balance, "maglev", "hash_on", "NULL");
    REFUSED(zone, "", "zone", "\"\"");
    REFUSED(slow_start_ms, 0.5, "slow_start_ms", "0.5");
    REFUSED(outlier.consecutive_failures, 0, "outlier.consecutive_failures", "0");
    REFUSED(outlier.base_ms, 0, "outlier.base_ms", "0");
    REFUSED(outlier.max_ms, AMB_NONE, "outlier.max_ms", "inf");
    REFUSED(outlier.max_ejected, 1.5, "outlier.max_ejected", "1.5");
    REFUSED(outlier.panic, -1, "outlier.panic", "-1");
    REFUSED_OF(health_check, tcp, true, interval_ms, 0, "0");
    REFUSED_OF(health_check, tcp, true, timeout_ms, -1, "-1");
    REFUSED_OF(health_check, tcp, true, unhealthy, 0, "0");
    REFUSED_OF(health_check, tcp, true, healthy, 1001, "1001");
    REFUSED_OF(health_check, tcp, false, path, "health", "\"health\"");
    REFUSED(tls.ca, "", "tls.ca", "\"\"");
    REFUSED(tls.server_name, "host:443", "tls.server_name", "\"host:443\"");
    REFUSED(tls.min_version, "1.1", "tls.min_version", "\"1.1\"");
    REFUSED_LIST(tls.pins, servers, 1, "tls.pins", "[\"name.example.com\"]");
    REFUSED(idempotency_key, "always", "idempotency_key", "\"always\"");
    REFUSED(http.version, "3", "http.version", "\"3\"");
    REFUSED(http.max_header_bytes, 100, "http.max_header_bytes", "100");
    REFUSED(http.max_body_bytes, 0, "http.max_body_bytes", "0");
    REFUSED(http.replay_bytes, -1, "http.replay_bytes", "-1");
    REFUSED(http.follow_redirects, 21, "http.follow_redirects", "21");
    REFUSED(http.max_connections, 0, "http.max_connections", "0");
    REFUSED(http.idle_timeout_ms, 0, "http.idle_timeout_ms", "0");
}

TEST(a_group_that_is_on_is_told_which_kind_it_is)
{
    REFUSED(discovery.enabled, true, "discovery", "nothing");
    CHECK_TEXT(amb_last_error_allowed(), "one of discovery.dns, discovery.srv, discovery.file");
    REFUSED(health_check.enabled, true, "health_check", "nothing");
    REFUSED(auth.enabled, true, "auth", "nothing");
    amb_options options = short_options(1);
    options.discovery.enabled = true;
    options.discovery.dns = options.discovery.file = "endpoints";
    refused(&options, "discovery", "discovery.dns and discovery.file");
    options = short_options(1);
    options.health_check = (amb_health_check){true, "/", true, 1000, 1000, 1, 1};
    refused(&options, "health_check", "health_check.path and health_check.tcp");
    options = short_options(1);
    options.auth = (amb_auth){.enabled = true, .username = "shop"};
    refused(&options, "auth.password", "NULL");
    CHECK_TEXT(amb_last_error_allowed(), "text of one line, or NULL");
    options.auth = (amb_auth){.enabled = true, .bearer = "tok-7", .api_key = "tok-7"};
    refused(&options, "auth", "auth.bearer and auth.api_key");
    options = short_options(1);
    options.tls.cert = "client.pem";
    refused(&options, "tls.key", "NULL");
}

TEST(a_secret_that_is_wrong_is_not_shown)
{
    amb_options options = short_options(1);
    options.auth = (amb_auth){.enabled = true, .bearer = "tok-7\n"};
    refused(&options, "auth.bearer", "***");
    options.auth = (amb_auth){.enabled = true, .username = "shop", .password = "tok-7\n"};
    refused(&options, "auth.password", "***");
    const amb_pair line[] = {{"cookie", "tok-7\n"}}, none[] = {{"cookie", NULL}}, unnamed[] = {{NULL, "tok-7"}};
    REFUSED_LIST(headers, line, 1, "headers", "{\"cookie\": ***}");
    REFUSED_LIST(headers, none, 1, "headers", "{\"cookie\": ***}");
    REFUSED_LIST(headers, unnamed, 1, "headers", "***");
    CHECK_TEXT(amb_last_error_allowed(), "names of headers and what they say, or NULL");
}
