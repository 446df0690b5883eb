/**
 * @file ambassador_options.hpp
 * The settings of a proxy, as values of C++; include ambassador.hpp. What each allows is checked by the library when a proxy is made.
 */
#ifndef AMBASSADOR_OPTIONS_HPP
#define AMBASSADOR_OPTIONS_HPP

#include "ambassador.h"
#include "ambassador_errors.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ambassador {

/** A length of time; every std::chrono duration converts to it. */
using Duration = std::chrono::duration<double, std::milli>;

/** How waits are spread. */
enum class Jitter { Full, Equal, Decorrelated, None };

/** What a classifier may answer. */
enum class Outcome { Retry = AMB_OUTCOME_RETRY, Fail = AMB_OUTCOME_FAIL };

/** The waits between attempts. */
struct Backoff {
    Duration base = std::chrono::seconds(2); ///< the wait after the first attempt, before jitter
    double factor = 2.0;                     ///< what each further wait is multiplied by: 1 to 1000
    Duration max = std::chrono::seconds(30); ///< the cap, applied before jitter
    Jitter jitter = Jitter::Full;            ///< how waits are spread
    Duration hint_max = std::chrono::seconds(60); ///< a longer hint of the server's ends the call

    /** No waits at all. */
    static Backoff none()
    {
        Backoff backoff;
        backoff.base = Duration(0);
        return backoff;
    }
};

/** The retry budget: retries may be so many for each call, so that a target in trouble gets no storm of them. */
struct Budget {
    double ratio = 0.2;                         ///< what each call deposits: retries a call, 0 to 1000
    double min_per_second = 10.0;               ///< retries a second that there may be whatever the calls
    Duration window = std::chrono::seconds(10); ///< the time over which deposits and retries are counted
};

/** The circuit breaker: stops sending attempts to a target that fails, and finds out by a few probes when it has recovered. */
struct Breaker {
    double failure_rate = 0.5;                    ///< the share of failed attempts from which on it opens: 0.001 to 1
    std::int64_t min_calls = 20;                  ///< how many attempts the window must hold before rates count
    Duration window = std::chrono::seconds(30);   ///< the time over which attempts are counted
    std::optional<std::int64_t> consecutive_failures = std::nullopt; ///< opens also after so many failures in a row
    std::optional<Duration> slow_call = std::nullopt; ///< an attempt that takes at least so long is slow
    double slow_rate = 1.0;                       ///< the share of slow attempts from which on it opens: 0.001 to 1
    Duration open_for = std::chrono::seconds(5);  ///< how long it stays open the first time; doubles with each reopening
    Duration open_max = std::chrono::seconds(60); ///< how long it stays open at most
    std::int64_t probes = 3;                      ///< how many attempts it then lets through to see: 1 to 16
};

/** The bulkhead: how many calls of the target run at once, and how many more may wait. */
struct Bulkhead {
    std::int64_t max_concurrent = 0;                      ///< how many calls run at once; has to be set
    std::int64_t max_queue = 0;                           ///< how many more may wait, first come, first served
    std::optional<Duration> queue_timeout = std::nullopt; ///< how long one waits at most; nullopt: as long as the timeout

    /** As many calls at once as the target takes without growing slower. */
    static Bulkhead adaptive()
    {
        Bulkhead bulkhead;
        bulkhead.max_concurrent = AMB_ADAPTIVE;
        return bulkhead;
    }
};

/** The rate limit: how many calls of the target there may be in a time, evenly, with a burst. */
struct RateLimit {
    double rate = 0.0;                               ///< calls in each `per`; has to be set
    Duration per = std::chrono::seconds(1);          ///< the time that `rate` is meant for
    std::optional<std::int64_t> burst = std::nullopt; ///< how many may come at once after a quiet time; nullopt: `rate`
    Duration max_wait = Duration(0);                 ///< how long a call may wait for its turn; 0 refuses it at once
};

/**
 * Hedging: another attempt begins beside one that takes long, and the first success wins. Needs `idempotent`. Functions then run on
 * threads of the ambassador's, two at once: see AmbassadorProxy::call() for what that asks of them.
 */
struct Hedge {
    Duration after = Duration(0); ///< how long the newest attempt has run when another begins; has to be set
    std::int64_t max = 1;         ///< how many may begin beside an attempt: 1 to 3; they count as attempts

    /** When an attempt has run longer than half of the target's do. */
    static Hedge after_p50() { return {Duration(AMB_P50)}; }
    /** When an attempt has run longer than 90 % of the target's do. */
    static Hedge after_p90() { return {Duration(AMB_P90)}; }
    /** When an attempt has run longer than 95 % of the target's do. */
    static Hedge after_p95() { return {Duration(AMB_P95)}; }
    /** When an attempt has run longer than 99 % of the target's do. */
    static Hedge after_p99() { return {Duration(AMB_P99)}; }
};

/** One of a target's endpoints. */
struct Endpoint {
    std::string url;                                ///< a host, with a port if needed, or an `http://` or `https://` URL without a path
    std::int64_t weight = 1;                        ///< its share of the calls beside those of other weights: 1 to 1000
    std::string zone{};                             ///< the zone that it stands in; empty when that is not known
    std::map<std::string, std::string> metadata{};  ///< what else is known of it

    /** The endpoint at that address. */
    Endpoint(std::string url, std::int64_t weight = 1, std::string zone = {}, std::map<std::string, std::string> metadata = {})
        : url(std::move(url)), weight(weight), zone(std::move(zone)), metadata(std::move(metadata))
    {
    }
    /** The same, so that a list of endpoints may be a list of texts. */
    Endpoint(const char *url) : url(url) {}
};

/** Where endpoints are looked for: by one of the functions. */
struct Discovery {
    std::string dns{};                           ///< a host, every address of which is an endpoint
    std::string srv{};                           ///< a name, every SRV record of which is one
    std::string file{};                          ///< the path of a JSON or YAML file of endpoints, which is watched
    std::vector<std::string> servers{};          ///< the DNS servers to ask; none for those of the system
    Duration refresh = std::chrono::seconds(30); ///< the longest time between two looks

    /** Every address that DNS has of that host, with a port if needed. */
    static Discovery by_dns(std::string host, std::vector<std::string> servers = {})
    {
        Discovery discovery;
        discovery.dns = std::move(host);
        discovery.servers = std::move(servers);
        return discovery;
    }
    /** Every SRV record that DNS has of that name, such as `_http._tcp.payment-api.example.com`. */
    static Discovery by_srv(std::string name, std::vector<std::string> servers = {})
    {
        Discovery discovery;
        discovery.srv = std::move(name);
        discovery.servers = std::move(servers);
        return discovery;
    }
    /** The endpoints in that file. */
    static Discovery by_file(std::string path)
    {
        Discovery discovery;
        discovery.file = std::move(path);
        return discovery;
    }
};

/** How an endpoint is chosen. */
enum class Balance {
    P2c,          ///< two at random, of which the one with the lower latency times attempts in flight
    RoundRobin,   ///< one after the other, by weight
    LeastRequest, ///< the one with the fewest attempts in flight by weight
    Random,       ///< at random, by weight
    RingHash,     ///< by the key that `hash_on` names: few keys move when endpoints come and go
    Maglev        ///< by the same, from a table that is quicker to look in and moves a few more keys
};

/** When an endpoint is left out for a while because attempts at it fail. */
struct Outlier {
    std::int64_t consecutive_failures = 5;    ///< after so many failures one after the other
    Duration base = std::chrono::seconds(30); ///< how long, times how often it was left out before
    Duration max = std::chrono::seconds(300); ///< the longest that it is left out
    double max_ejected = 0.1; ///< the share of the endpoints that may be left out at once; always one where there are two or more
    double panic = 0.5;       ///< below this share of healthy endpoints, health is ignored
};

/** How endpoints are asked whether they are well, beside the calls that they get: by one of the functions. */
struct HealthCheck {
    std::string path{};                          ///< by GET of this path, to be answered by a status of 200 to 299
    bool tcp = false;                            ///< by a connection
    Duration interval = std::chrono::seconds(10); ///< how long between two checks of an endpoint
    Duration timeout = std::chrono::seconds(1);  ///< how long an answer may take
    std::int64_t unhealthy = 3;                  ///< after so many failed checks one after the other it is left out
    std::int64_t healthy = 2;                    ///< after so many that succeed it is back

    /** By GET of that path. */
    static HealthCheck by_path(std::string path)
    {
        HealthCheck check;
        check.path = std::move(path);
        return check;
    }
    /** By a connection. */
    static HealthCheck by_tcp()
    {
        HealthCheck check;
        check.tcp = true;
        return check;
    }
};

/** A version of TLS. */
enum class TlsVersion { V1_2, V1_3 };

/** TLS to the target. Verification is the rule. An empty text is not set. */
struct Tls {
    std::string ca{};                             ///< the path of root certificates in PEM; empty for the system's
    std::string cert{};                           ///< the path of the client's certificate in PEM, read again when it changes
    std::string key{};                            ///< the path of its private key in PEM
    std::string server_name{};                    ///< what the server's certificate has to be for; empty for the target's host
    TlsVersion min_version = TlsVersion::V1_2;    ///< the lowest version that is spoken
    std::vector<std::string> pins{};              ///< SHA-256 digests of public keys in Base64, one of which the server has to show
    /** Whether a certificate is taken for good that does not verify. Anybody on the way may then read and change everything. */
    bool dangerous_accept_invalid_certificates = false;
};

/** How requests say who sends them: by one of the functions. Never sent to another origin. */
struct Auth {
    std::string bearer{};         ///< a token
    std::string bearer_env{};     ///< the environment variable that has it
    std::string bearer_file{};    ///< the path of the file that has it
    std::string username{};       ///< the user's name
    std::string password{};       ///< the user's password
    std::string api_key{};        ///< a key, in a header of its own
    std::string api_key_header{}; ///< the name of that header; empty for `x-api-key`
    std::string token_url{};      ///< where a token is fetched, as OAuth 2.0 says of client credentials
    std::string client_id{};      ///< the client's name there
    std::string client_secret{};  ///< its secret
    std::string scope{};          ///< what the token is asked for, if that has to be said

    /** By that token. */
    static Auth by_bearer(std::string token)
    {
        Auth auth;
        auth.bearer = std::move(token);
        return auth;
    }
    /** By the token in that environment variable, read at each request. */
    static Auth by_bearer_env(std::string name)
    {
        Auth auth;
        auth.bearer_env = std::move(name);
        return auth;
    }
    /** By the token in that file, read again when it changes. */
    static Auth by_bearer_file(std::string path)
    {
        Auth auth;
        auth.bearer_file = std::move(path);
        return auth;
    }
    /** By name and password (Basic). */
    static Auth by_password(std::string username, std::string password)
    {
        Auth auth;
        auth.username = std::move(username);
        auth.password = std::move(password);
        return auth;
    }
    /** By a key in that header. */
    static Auth by_api_key(std::string key, std::string header = "x-api-key")
    {
        Auth auth;
        auth.api_key = std::move(key);
        auth.api_key_header = std::move(header);
        return auth;
    }
    /** By a token that is fetched with the client's credentials (OAuth 2.0), and kept until shortly before it expires. */
    static Auth by_client(std::string token_url, std::string client_id, std::string client_secret, std::string scope = {})
    {
        Auth auth;
        auth.token_url = std::move(token_url);
        auth.client_id = std::move(client_id);
        auth.client_secret = std::move(client_secret);
        auth.scope = std::move(scope);
        return auth;
    }
};

/** Headers, or other names and what they say, in their order. */
using Headers = std::vector<std::pair<std::string, std::string>>;

/** Whether requests that have none get an `Idempotency-Key`, one a call, and so may be repeated whatever their method. */
enum class IdempotencyKey { Off, Auto };

/** Which version of HTTP is spoken: HTTP/2 where TLS agrees on it, else HTTP/1.1; or the one, or the other. */
enum class HttpVersion { Auto, Http1, Http2 };

/** How requests are made. */
struct Http {
    HttpVersion version = HttpVersion::Auto;              ///< which version of HTTP is spoken
    std::int64_t max_header_bytes = 65536;                ///< how large the head of a response may be
    std::int64_t max_body_bytes = 67108864;               ///< how large a body may be that is read whole, unpacked
    std::int64_t replay_bytes = 1048576;                  ///< how much of a streamed body is kept for another attempt
    std::int64_t follow_redirects = 0;                    ///< how many redirects are followed
    bool decompress = true;                               ///< whether compressed bodies are asked for and unpacked
    bool proxy_from_environment = false;                  ///< whether HTTP_PROXY, HTTPS_PROXY and NO_PROXY are obeyed
    bool attempt_headers = false;                         ///< whether `x-ambassador-attempt` and `x-ambassador-remaining-ms` are sent
    std::int64_t max_connections = 100;                   ///< how many connections may be open to an endpoint by HTTP/1
    Duration idle_timeout = std::chrono::seconds(60);     ///< how long a connection is kept that nothing uses
};

/** Settings of a proxy. A fallback is none of them, for it has a function's type: see AmbassadorProxy::fallback(). */
struct Options {
    std::int64_t max_retries = 3;                              ///< attempts in all: 1 to 100
    std::optional<Duration> timeout = std::chrono::seconds(2); ///< the bound of each attempt; nullopt for none
    std::optional<Duration> deadline = std::nullopt;           ///< the bound of the whole call; nullopt for none
    std::string name{};                                        ///< the name that state is shared by; empty: the target
    Backoff backoff{};                                         ///< the waits between attempts
    /** Tells exceptions apart; without it every exception may be tried again. One that throws ends the call with what it threw. */
    std::function<Outcome(const std::exception_ptr &)> classify{};
    std::optional<Budget> budget = Budget{};               ///< how many retries there may be; nullopt for any number
    std::optional<Breaker> breaker = Breaker{};            ///< when to stop calling a target that fails; nullopt for never
    std::optional<Bulkhead> bulkhead = std::nullopt;       ///< how many calls run at once; nullopt for any number
    std::optional<RateLimit> rate_limit = std::nullopt;    ///< how many calls there may be in a time; nullopt for any number
    std::optional<Hedge> hedge = std::nullopt;             ///< whether another attempt begins beside one that takes long
    bool idempotent = false;                               ///< whether a call may safely be made twice; needed for `hedge`
    std::vector<Endpoint> endpoints{};                     ///< where attempts may go; none for the target itself
    std::optional<Discovery> discovery = std::nullopt;     ///< where endpoints are looked for
    Balance balance = Balance::P2c;                        ///< how an endpoint is chosen
    std::string hash_on{};                                 ///< the key of RingHash and Maglev: `path`, or `header:` and its name
    std::string zone{};                                    ///< the zone that this process stands in; empty for none
    std::optional<Duration> slow_start = std::nullopt;     ///< how long an endpoint that is new, or back, gets less than its share
    std::optional<Outlier> outlier = Outlier{};            ///< when an endpoint is left out; nullopt for never
    std::optional<HealthCheck> health_check = std::nullopt; ///< how endpoints are asked whether they are well
    Tls tls{};                                             ///< TLS to the target
    std::optional<Auth> auth = std::nullopt;               ///< how requests say who sends them
    Headers headers{};                                     ///< headers that every request has, unless it brings its own
    IdempotencyKey idempotency_key = IdempotencyKey::Off;  ///< whether requests get an `Idempotency-Key`
    Http http{};                                           ///< how requests are made
};

namespace detail {

/** A length of time as C says it, which may be none. */
inline std::optional<Duration> length(double ms) noexcept
{
    return ms == AMB_NONE ? std::nullopt : std::optional<Duration>(Duration(ms));
}

/** And as C is told it. */
inline double length(const std::optional<Duration> &length) noexcept
{
    return length ? length->count() : AMB_NONE;
}

/** A count as C says it, which may be none. */
inline std::optional<std::int64_t> count(std::int64_t count) noexcept
{
    return count == 0 ? std::nullopt : std::optional<std::int64_t>(count);
}

/** How C spells the choices, in the order of their enums. */
constexpr const char *jitters[] = {"full", "equal", "decorrelated", "none"};
constexpr const char *balances[] = {"p2c", "round_robin", "least_request", "random", "ring_hash", "maglev"};
constexpr const char *tls_versions[] = {"1.2", "1.3"};
constexpr const char *http_versions[] = {"auto", "1", "2"};
constexpr const char *idempotency_keys[] = {"off", "auto"};

/** Which of the words it is; the library says no others. */
template <class E, std::size_t N>
E choice(const char *const (&words)[N], const char *said) noexcept
{
    std::size_t at = 0;
    while (at + 1 < N && std::string_view(words[at]) != said)
        ++at;
    return static_cast<E>(at);
}

/** A text of C, which is null for none. */
inline const char *text(const std::string &text) noexcept
{
    return text.empty() ? nullptr : text.c_str();
}

/** And as C++ has it. */
inline std::string text(const char *text)
{
    return text == nullptr ? std::string() : std::string(text);
}

/** Throws what amb_last_error() tells of; `target` is what was called, where there was such. */
[[noreturn]] inline void fail(amb_status status, const std::string &target = {})
{
    if (status != AMB_ERR_CONFIG)
        raise({amb_last_error(), status, target});
    throw ConfigError({amb_last_error(), status, target}, text(amb_last_error_field()), text(amb_last_error_value()),
                      text(amb_last_error_allowed()));
}

/** A text of the library's, which is freed; null is that error. */
inline std::string owned(char *given, amb_status error, const std::string &target = {})
{
    const std::unique_ptr<char, void (*)(char *)> text(given, amb_string_free);
    if (!text)
        fail(error, target);
    return text.get();
}

/** Pairs, as C has them. */
template <class Pairs>
std::vector<amb_pair> pairs(const Pairs &list)
{
    std::vector<amb_pair> pairs;
    pairs.reserve(list.size());
    for (const auto &[name, value] : list)
        pairs.push_back({name.c_str(), value.c_str()});
    return pairs;
}

/** Endpoints as C has them. The texts are those of the endpoints that they are made of. */
struct PlainEndpoints {
    std::vector<amb_endpoint> list{};

    explicit PlainEndpoints(const std::vector<Endpoint> &endpoints)
    {
        for (const Endpoint &endpoint : endpoints) {
            const auto &metadata = metadata_.emplace_back(pairs(endpoint.metadata));
            list.push_back({endpoint.url.c_str(), endpoint.weight, text(endpoint.zone), metadata.data(), metadata.size()});
        }
    }

private:
    std::vector<std::vector<amb_pair>> metadata_{}; // Of which each stays where it is, also when they move.
};

/** Settings as C has them. The texts are those of the options that they are made of. */
struct Plain {
    amb_options raw{};

    explicit Plain(const Options &options) : endpoints_(options.endpoints)
    {
        raw = calls(options);
        network(options);
    }
    Plain(const Plain &) = delete;
    Plain &operator=(const Plain &) = delete;

private:
    PlainEndpoints endpoints_;
    std::vector<const char *> servers_{};
    std::vector<const char *> pins_{};
    std::vector<amb_pair> headers_{};

    static amb_options calls(const Options &options);
    void network(const Options &options);
};

/** A list of texts, as C has it. */
inline std::vector<const char *> texts(const std::vector<std::string> &list)
{
    std::vector<const char *> texts;
    texts.reserve(list.size());
    for (const std::string &text : list)
        texts.push_back(text.c_str());
    return texts;
}

/** And as C++ has it. */
inline std::vector<std::string> texts(const char *const *list, std::size_t count)
{
    return {list, list + count};
}

inline void Plain::network(const Options &options)
{
    raw.endpoints = endpoints_.list.data();
    raw.endpoints_count = endpoints_.list.size();
    if (const auto &discovery = options.discovery) {
        servers_ = texts(discovery->servers);
        raw.discovery = {true, text(discovery->dns), text(discovery->srv), text(discovery->file), servers_.data(),
                         servers_.size(), discovery->refresh.count()};
    }
    raw.balance = balances[static_cast<std::size_t>(options.balance)];
    raw.hash_on = text(options.hash_on);
    raw.zone = text(options.zone);
    raw.slow_start_ms = length(options.slow_start);
    raw.outlier.enabled = options.outlier.has_value();
    if (const auto &outlier = options.outlier)
        raw.outlier = {true, outlier->consecutive_failures, outlier->base.count(), outlier->max.count(), outlier->max_ejected,
                       outlier->panic};
    if (const auto &check = options.health_check)
        raw.health_check = {true, text(check->path), check->tcp, check->interval.count(), check->timeout.count(),
                            check->unhealthy, check->healthy};
    const Tls &tls = options.tls;
    pins_ = texts(tls.pins);
    raw.tls = {text(tls.ca), text(tls.cert), text(tls.key), text(tls.server_name),
               tls_versions[static_cast<std::size_t>(tls.min_version)], pins_.data(), pins_.size(),
               tls.dangerous_accept_invalid_certificates};
    if (const auto &auth = options.auth)
        raw.auth = {true, text(auth->bearer), text(auth->bearer_env), text(auth->bearer_file), text(auth->username),
                    text(auth->password), text(auth->api_key), text(auth->api_key_header), text(auth->token_url),
                    text(auth->client_id), text(auth->client_secret), text(auth->scope)};
    headers_ = pairs(options.headers);
    raw.headers = headers_.data();
    raw.headers_count = headers_.size();
    raw.idempotency_key = idempotency_keys[static_cast<std::size_t>(options.idempotency_key)];
    const Http &http = options.http;
    raw.http = {http_versions[static_cast<std::size_t>(http.version)], http.max_header_bytes, http.max_body_bytes,
                http.replay_bytes, http.follow_redirects, http.decompress, http.proxy_from_environment, http.attempt_headers,
                http.max_connections, http.idle_timeout.count()};
}

inline amb_options Plain::calls(const Options &options)
{
    amb_options raw;
    amb_options_init(&raw);
    raw.max_retries = options.max_retries;
    raw.name = text(options.name);
    raw.timeout_ms = length(options.timeout);
    raw.deadline_ms = length(options.deadline);
    raw.backoff = {options.backoff.base.count(), options.backoff.factor, options.backoff.max.count(),
                   jitters[static_cast<std::size_t>(options.backoff.jitter)], options.backoff.hint_max.count()};
    raw.budget.enabled = options.budget.has_value();
    if (const auto &budget = options.budget)
        raw.budget = {true, budget->ratio, budget->min_per_second, budget->window.count()};
    raw.breaker.enabled = options.breaker.has_value();
    if (const auto &breaker = options.breaker)
        raw.breaker = {true, breaker->failure_rate, breaker->min_calls, breaker->window.count(),
                       breaker->consecutive_failures.value_or(0), length(breaker->slow_call), breaker->slow_rate,
                       breaker->open_for.count(), breaker->open_max.count(), breaker->probes};
    if (const auto &bulkhead = options.bulkhead)
        raw.bulkhead = {true, bulkhead->max_concurrent, bulkhead->max_queue, length(bulkhead->queue_timeout)};
    if (const auto &limit = options.rate_limit)
        raw.rate_limit = {true, limit->rate, limit->per.count(), limit->burst.value_or(0), limit->max_wait.count()};
    if (const auto &hedge = options.hedge)
        raw.hedge = {true, hedge->after.count(), hedge->max};
    raw.idempotent = options.idempotent;
    return raw;
}

/** Pairs of C, as C++ has them. */
inline Headers pairs(const amb_pair *list, std::size_t count)
{
    Headers pairs;
    for (std::size_t at = 0; at < count; ++at)
        pairs.emplace_back(list[at].name, list[at].value);
    return pairs;
}

/** The settings of networking, as C++ has them. */
inline void dress_network(const amb_options &raw, Options &options)
{
    for (std::size_t at = 0; at < raw.endpoints_count; ++at) {
        const amb_endpoint &endpoint = raw.endpoints[at];
        const Headers metadata = pairs(endpoint.metadata, endpoint.metadata_count);
        options.endpoints.emplace_back(endpoint.url, endpoint.weight, text(endpoint.zone),
                                       std::map<std::string, std::string>(metadata.begin(), metadata.end()));
    }
    if (const auto &found = raw.discovery; found.enabled)
        options.discovery = Discovery{text(found.dns), text(found.srv), text(found.file),
                                      texts(found.servers, found.servers_count), Duration(found.refresh_ms)};
    options.balance = choice<Balance>(balances, raw.balance);
    options.hash_on = text(raw.hash_on);
    options.zone = text(raw.zone);
    options.slow_start = length(raw.slow_start_ms);
    options.outlier.reset();
    if (const auto &outlier = raw.outlier; outlier.enabled)
        options.outlier = Outlier{outlier.consecutive_failures, Duration(outlier.base_ms), Duration(outlier.max_ms),
                                  outlier.max_ejected, outlier.panic};
    if (const auto &check = raw.health_check; check.enabled)
        options.health_check = HealthCheck{text(check.path), check.tcp, Duration(check.interval_ms),
                                           Duration(check.timeout_ms), check.unhealthy, check.healthy};
    options.tls = {text(raw.tls.ca), text(raw.tls.cert), text(raw.tls.key), text(raw.tls.server_name),
                   choice<TlsVersion>(tls_versions, raw.tls.min_version), texts(raw.tls.pins, raw.tls.pins_count),
                   raw.tls.dangerous_accept_invalid_certificates};
    if (const auto &auth = raw.auth; auth.enabled)
        options.auth = Auth{text(auth.bearer), text(auth.bearer_env), text(auth.bearer_file), text(auth.username),
                            text(auth.password), text(auth.api_key), text(auth.api_key_header), text(auth.token_url),
                            text(auth.client_id), text(auth.client_secret), text(auth.scope)};
    options.headers = pairs(raw.headers, raw.headers_count);
    options.idempotency_key = choice<IdempotencyKey>(idempotency_keys, raw.idempotency_key);
    const amb_http &http = raw.http;
    options.http = {choice<HttpVersion>(http_versions, http.version), http.max_header_bytes, http.max_body_bytes,
                    http.replay_bytes, http.follow_redirects, http.decompress, http.proxy_from_environment,
                    http.attempt_headers, http.max_connections, Duration(http.idle_timeout_ms)};
}

/** And as C++ has them. */
inline Options dressed(const amb_options &raw)
{
    Options options;
    options.max_retries = raw.max_retries;
    options.name = raw.name;
    options.timeout = length(raw.timeout_ms);
    options.deadline = length(raw.deadline_ms);
    options.backoff = {Duration(raw.backoff.base_ms), raw.backoff.factor, Duration(raw.backoff.max_ms),
                       choice<Jitter>(jitters, raw.backoff.jitter), Duration(raw.backoff.hint_max_ms)};
    options.budget.reset();
    if (const auto &budget = raw.budget; budget.enabled)
        options.budget = Budget{budget.ratio, budget.min_per_second, Duration(budget.window_ms)};
    options.breaker.reset();
    if (const auto &breaker = raw.breaker; breaker.enabled)
        options.breaker = Breaker{breaker.failure_rate, breaker.min_calls, Duration(breaker.window_ms),
                                  count(breaker.consecutive_failures), length(breaker.slow_call_ms), breaker.slow_rate,
                                  Duration(breaker.open_for_ms), Duration(breaker.open_max_ms), breaker.probes};
    if (const auto &bulkhead = raw.bulkhead; bulkhead.enabled)
        options.bulkhead = Bulkhead{bulkhead.max_concurrent, bulkhead.max_queue, length(bulkhead.queue_timeout_ms)};
    if (const auto &limit = raw.rate_limit; limit.enabled)
        options.rate_limit = RateLimit{limit.rate, Duration(limit.per_ms), count(limit.burst), Duration(limit.max_wait_ms)};
    if (const auto &hedge = raw.hedge; hedge.enabled)
        options.hedge = Hedge{Duration(hedge.after_ms), hedge.max};
    options.idempotent = raw.idempotent;
    dress_network(raw, options);
    return options;
}

} // namespace detail

} // namespace ambassador

#endif
