/* What is seen of the whole process, from C: the snapshot, the metrics, the admin server; and that all of it adds up (S2). */
#include "common.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

CHECK_MAIN

static int connect_to(const char *address)
{
    char host[64];
    int port = 0;
    CHECK_INT(sscanf(address, "%63[^:]:%d", host, &port), 2);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    CHECK_INT(inet_pton(AF_INET, host, &to.sin_addr), 1);
    const int connection = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(connection >= 0);
    if (connect(connection, (struct sockaddr *)&to, sizeof to) == 0)
        return connection;
    close(connection);
    return -1;
}

/* What the admin server answers, head and body; to be freed. */
static char *ask(const amb_admin *admin, const char *method, const char *path, const char *header)
{
    const int connection = connect_to(amb_admin_address(admin));
    CHECK(connection >= 0);
    char request[512];
    const int length = snprintf(request, sizeof request, "%s %s HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n%s\r\n",
                                method, path, header);
    CHECK_INT(send(connection, request, (size_t)length, 0), length);
    size_t room = 1 << 16, got = 0;
    char *answer = malloc(room);
    for (;;) {
        if (got + 1 == room)
            answer = realloc(answer, room *= 2);
        const ssize_t piece = recv(connection, answer + got, room - got - 1, 0);
        CHECK(piece >= 0);
        if (piece == 0)
            break;
        got += (size_t)piece;
    }
    answer[got] = '\0';
    close(connection);
    return answer;
}

static void has(char *text, const char *part)
{
    CHECK(text != NULL);
    if (strstr(text, part) == NULL)
        fprintf(stderr, "no \"%s\" in: %s\n", part, text);
    CHECK(strstr(text, part) != NULL);
}

static amb_admin *served(void)
{
    amb_admin *admin = NULL;
    CHECK_INT(amb_serve_admin("127.0.0.1:0", NULL, &admin), AMB_OK);
    CHECK(admin != NULL);
    return admin;
}

static int32_t succeed(const amb_attempt *attempt, void *user_data)
{
    (void)attempt;
    (void)user_data;
    return 0;
}

TEST(the_snapshot_and_the_metrics_have_each_target_and_the_process)
{
    amb_proxy *proxy = proxy_of(short_options(1));
    CHECK_INT(amb_proxy_call(proxy, succeed, NULL, NULL), 0);
    char *seen = amb_snapshot();
    has(seen, "\"language\":\"c\"");
    has(seen, "\"name\":\"payment-api.example.com\"");
    amb_string_free(seen);
    char *metrics = amb_metrics(NULL);
    has(metrics, "ambassador_calls_total{target=\"payment-api.example.com\",outcome=\"ok\"} 1\n");
    amb_string_free(metrics);
    metrics = amb_metrics("openmetrics");
    has(metrics, "# EOF\n");
    amb_string_free(metrics);
    CHECK(amb_metrics("json") == NULL);
    CHECK_TEXT(amb_last_error(), "format: \"json\" is not allowed; expected prometheus or openmetrics");
    amb_proxy_free(proxy);
}

TEST(the_admin_server_answers_until_it_is_stopped)
{
    amb_proxy *proxy = proxy_of(short_options(1));
    amb_admin *admin = served();
    char address[64];
    snprintf(address, sizeof address, "%s", amb_admin_address(admin));
    char *answer = ask(admin, "GET", "/metrics", "");
    has(answer, "ambassador_build_info");
    free(answer);
    answer = ask(admin, "POST", "/v1/targets/payment-api.example.com/isolate", "content-length: 0\r\n");
    has(answer, "HTTP/1.1 401 ");
    free(answer);
    char token[256];
    snprintf(token, sizeof token, "content-length: 0\r\nauthorization: Bearer %s\r\n", amb_admin_token(admin));
    answer = ask(admin, "POST", "/v1/targets/payment-api.example.com/isolate", token);
    has(answer, "HTTP/1.1 200 ");
    free(answer);
    char *health = amb_proxy_health(proxy);
    has(health, "\"state\":\"isolated\"");
    amb_string_free(health);
    CHECK_INT(amb_admin_stop(admin), AMB_OK);
    CHECK_INT(connect_to(address), -1);
    CHECK_INT(amb_admin_stop(admin), AMB_ERR_ARGUMENT);
    CHECK_TEXT(amb_admin_address(admin), "");
    CHECK_INT(amb_admin_stop(NULL), AMB_OK);
    amb_proxy_free(proxy);
}

TEST(what_cannot_be_served_is_refused_at_once)
{
    amb_admin *admin = served();
    amb_admin *other = admin;
    CHECK_INT(amb_serve_admin(amb_admin_address(admin), NULL, &other), AMB_ERR_CONFIG);
    CHECK(other == NULL);
    CHECK_INT(amb_serve_admin("here", NULL, &other), AMB_ERR_CONFIG);
    CHECK_TEXT(amb_last_error_field(), "admin");
    CHECK_INT(amb_serve_admin("0.0.0.0:0", NULL, &other), AMB_ERR_CONFIG);
    amb_admin_options options;
    CHECK_INT(amb_admin_options_init(&options), AMB_OK);
    options.remote = true;
    CHECK_INT(amb_serve_admin("0.0.0.0:0", &options, &other), AMB_ERR_CONFIG);
    options.token = "short";
    CHECK_INT(amb_serve_admin("127.0.0.1:0", &options, &other), AMB_ERR_CONFIG);
    CHECK_TEXT(amb_last_error(), "admin.token: *** is not allowed; expected at least 16 visible characters of ASCII, without spaces");
    options.token = NULL;
    options.host_count = 1;
    CHECK_INT(amb_serve_admin("127.0.0.1:0", &options, &other), AMB_ERR_CONFIG);
    CHECK_TEXT(amb_last_error_field(), "admin.hosts");
    options.size = 1;
    CHECK_INT(amb_serve_admin("127.0.0.1:0", &options, &other), AMB_ERR_CONFIG);
    CHECK_TEXT(amb_last_error_field(), "size");
    CHECK_INT(amb_serve_admin(NULL, NULL, &other), AMB_ERR_ARGUMENT);
    CHECK_INT(amb_serve_admin("127.0.0.1:0", NULL, NULL), AMB_ERR_ARGUMENT);
    CHECK_INT(amb_admin_options_init(NULL), AMB_ERR_ARGUMENT);
    CHECK_INT(amb_admin_stop(admin), AMB_OK);
}

/* The sum of a metric over its labels, of those lines that have this text. */
static long summed(const char *metrics, const char *name, const char *label)
{
    char start[96];
    snprintf(start, sizeof start, "\n%s{", name);
    long sum = 0;
    for (const char *at = metrics; (at = strstr(at, start)) != NULL; at += 1) {
        const char *value = strstr(at, "} ");
        CHECK(value != NULL);
        const char *found = label == NULL ? at : strstr(at, label);
        if (found != NULL && found < value)
            sum += strtol(value + 2, NULL, 10);
    }
    return sum;
}

struct caller {
    amb_proxy *proxy;
    unsigned drawn;
};

/* Park and Miller's numbers, so that every run has the same script. */
static int32_t by_chance(const amb_attempt *attempt, void *user_data)
{
    (void)attempt;
    struct caller *caller = user_data;
    caller->drawn = (unsigned)((unsigned long long)caller->drawn * 48271 % 2147483647);
    return caller->drawn % 10 < 2 ? 1 : 0;
}

static void *make_calls(void *data)
{
    struct caller *caller = data;
    for (int call = 0; call < 25000; call++)
        amb_proxy_call(caller->proxy, by_chance, caller, NULL);
    return NULL;
}

struct scraper {
    const amb_admin *admin;
    atomic_bool is_over;
    int scrapes;
};

static void *scrape(void *data)
{
    struct scraper *scraper = data;
    long last = 0;
    while (!atomic_load(&scraper->is_over)) {
        char *metrics = ask(scraper->admin, "GET", "/metrics", "");
        const long calls = summed(metrics, "ambassador_calls_total", NULL);
        CHECK(calls >= last);
        last = calls;
        scraper->scrapes++;
        free(metrics);
    }
    return NULL;
}

TEST(sums_hold_over_a_hundred_thousand_calls_while_they_are_scraped)
{
    amb_set_log(NULL, NULL);
    amb_options options = untiring_options(0.001);
    options.bulkhead.max_concurrent = 3;
    options.timeout_ms = AMB_NONE;
    amb_proxy *proxy = proxy_of(options);
    amb_admin *admin = served();
    struct scraper scraper = {.admin = admin};
    pthread_t reader, threads[4];
    struct caller callers[4];
    CHECK_INT(pthread_create(&reader, NULL, scrape, &scraper), 0);
    for (unsigned i = 0; i < 4; i++) {
        callers[i] = (struct caller){proxy, i + 1};
        CHECK_INT(pthread_create(&threads[i], NULL, make_calls, &callers[i]), 0);
    }
    for (unsigned i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    atomic_store(&scraper.is_over, true);
    pthread_join(reader, NULL);
    CHECK(scraper.scrapes > 1);

    char *metrics = ask(admin, "GET", "/metrics", "");
    const long calls = summed(metrics, "ambassador_calls_total", NULL);
    const long rejected = summed(metrics, "ambassador_calls_total", "outcome=\"rejected\"");
    const long attempts = summed(metrics, "ambassador_attempts_total", NULL);
    CHECK_INT(calls, 100000);
    CHECK_INT(summed(metrics, "ambassador_inflight_calls", NULL), 0);
    CHECK_INT(summed(metrics, "ambassador_rejections_total", NULL), rejected);
    CHECK_INT(summed(metrics, "ambassador_call_duration_seconds_count", NULL), calls - rejected);
    CHECK_INT(summed(metrics, "ambassador_attempt_duration_seconds_count", NULL), attempts);
    CHECK_INT(attempts, calls - rejected + summed(metrics, "ambassador_retries_total", NULL));
    CHECK(summed(metrics, "ambassador_calls_total", "outcome=\"ok\"") > 0);
    CHECK(summed(metrics, "ambassador_calls_total", "outcome=\"failure\"") > 0);
    free(metrics);
    CHECK_INT(amb_admin_stop(admin), AMB_OK);
    amb_proxy_free(proxy);
}

TEST(a_forked_child_has_no_admin_server)
{
    amb_proxy *proxy = proxy_of(short_options(1));
    amb_admin *admin = served();
    const pid_t child = fork();
    if (child == 0) {
        /* Stopped in the child, it serves on in the parent. */
        _exit(amb_admin_stop(admin) == AMB_OK ? 0 : 1);
    }
    int status = 0;
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    char *answer = ask(admin, "GET", "/healthz", "");
    has(answer, "HTTP/1.1 200 ");
    free(answer);
    CHECK_INT(amb_admin_stop(admin), AMB_OK);
    amb_proxy_free(proxy);
}
