// The conformance vectors, through the C ABI and through ambassador.hpp, on the caller's thread and on the ambassador's, in
// virtual time: `conformance VECTORS REPORT` runs them all and says so in the report. What a vector is, and how it is run, is
// told by conformance/README.md.
#include "ambassador_testing.hpp"
#include "json.hpp"

#include <cmath>
#include <functional>
#include <iostream>
#include <map>
#include <sstream>

namespace {

using ambassador::AmbassadorProxy;
using ambassador::Outcome;

constexpr std::int32_t FAILS = 1, FINAL = 2, FALLBACK_FAILS = 3;

struct Failure : std::runtime_error {
    Failure() : std::runtime_error("Payment API unreachable") {}
};
struct Final : std::runtime_error {
    Final() : std::runtime_error("declined") {}
};
struct ByFallback : std::runtime_error {
    ByFallback() : std::runtime_error("a fallback that throws") {}
};
struct ByClassifier : std::runtime_error {
    ByClassifier() : std::runtime_error("a classifier that throws") {}
};

double ms(std::uint64_t ns)
{
    return static_cast<double>(ns) / 1e6;
}

std::uint64_t ns(double ms)
{
    return static_cast<std::uint64_t>(std::llround(ms * 1e6));
}

std::string code(std::int32_t status)
{
    static const std::map<std::int32_t, const char *> codes{
        {AMB_ERR_TIMEOUT, "TIMEOUT"},           {AMB_ERR_DEADLINE, "DEADLINE"},           {AMB_ERR_SHUTDOWN, "SHUTDOWN"},
        {AMB_ERR_INTERNAL, "INTERNAL"},         {AMB_ERR_CIRCUIT_OPEN, "CIRCUIT_OPEN"},   {AMB_ERR_BULKHEAD_FULL, "BULKHEAD_FULL"},
        {AMB_ERR_RATE_LIMITED, "RATE_LIMITED"}, {AMB_ERR_NO_ENDPOINT, "NO_ENDPOINT"},
    };
    const auto found = codes.find(status);
    return found == codes.end() ? "status " + std::to_string(status) : found->second;
}

// One setting of a vector, in amb_options. A group is on when something of it is set.
void set(amb_options &options, const std::string &name, const Json &value)
{
    const auto to = [&](double &member) { member = value.number(); };
    const auto count = [&](std::int64_t &member) { member = value.is_null() ? 0 : static_cast<std::int64_t>(value.whole()); };
    const auto length = [&](double &member) {
        if (value.kind() == Json::Kind::Number)
            to(member);
        else
            member = value.is_null() ? AMB_NONE : ms(value["ns"].whole());
    };
    const auto on = [&](bool &member) { member = !value.is_null() && value.truth(); };
    static const char *const jitters[] = {"full", "equal", "decorrelated", "none"};
    const std::string group = name.substr(0, name.find('.'));
    if (group != name) {
        options.budget.enabled |= group == "budget";
        options.breaker.enabled |= group == "breaker";
        options.bulkhead.enabled |= group == "bulkhead";
        options.rate_limit.enabled |= group == "rate_limit";
        options.hedge.enabled |= group == "hedge";
        options.outlier.enabled |= group == "outlier";
    }
    const std::map<std::string, std::function<void()>> settings{
        {"max_retries", [&] { count(options.max_retries); }},
        {"timeout", [&] { length(options.timeout_ms); }},
        {"deadline", [&] { length(options.deadline_ms); }},
        {"backoff.base", [&] { length(options.backoff.base_ms); }},
        {"backoff.factor", [&] { to(options.backoff.factor); }},
        {"backoff.max", [&] { length(options.backoff.max_ms); }},
        {"backoff.jitter", [&] {
             for (const char *jitter : jitters)
                 if (value.text() == jitter)
                     options.backoff.jitter = jitter;
         }},
        {"backoff.hint_max", [&] { length(options.backoff.hint_max_ms); }},
        {"budget", [&] { on(options.budget.enabled); }},
        {"budget.ratio", [&] { to(options.budget.ratio); }},
        {"budget.min_per_second", [&] { to(options.budget.min_per_second); }},
        {"budget.window", [&] { length(options.budget.window_ms); }},
        {"breaker", [&] { on(options.breaker.enabled); }},
        {"breaker.failure_rate", [&] { to(options.breaker.failure_rate); }},
        {"breaker.min_calls", [&] { count(options.breaker.min_calls); }},
        {"breaker.window", [&] { length(options.breaker.window_ms); }},
        {"breaker.consecutive_failures", [&] { count(options.breaker.consecutive_failures); }},
        {"breaker.slow_call", [&] { length(options.breaker.slow_call_ms); }},
        {"breaker.slow_rate", [&] { to(options.breaker.slow_rate); }},
        {"breaker.open_for", [&] { length(options.breaker.open_for_ms); }},
        {"breaker.open_max", [&] { length(options.breaker.open_max_ms); }},
        {"breaker.probes", [&] { count(options.breaker.probes); }},
        {"bulkhead", [&] { on(options.bulkhead.enabled); }},
        {"bulkhead.max_concurrent", [&] {
             if (value.kind() == Json::Kind::Text && value.text() == "adaptive")
                 options.bulkhead.max_concurrent = AMB_ADAPTIVE;
             else
                 count(options.bulkhead.max_concurrent);
             options.bulkhead.enabled = !value.is_null();
         }},
        {"bulkhead.max_queue", [&] { count(options.bulkhead.max_queue); }},
        {"bulkhead.queue_timeout", [&] { length(options.bulkhead.queue_timeout_ms); }},
        {"rate_limit", [&] { on(options.rate_limit.enabled); }},
        {"rate_limit.rate", [&] { to(options.rate_limit.rate); }},
        {"rate_limit.per", [&] { length(options.rate_limit.per_ms); }},
        {"rate_limit.burst", [&] { count(options.rate_limit.burst); }},
        {"rate_limit.max_wait", [&] { length(options.rate_limit.max_wait_ms); }},
        {"hedge", [&] { on(options.hedge.enabled); }},
        {"hedge.after", [&] {
             static const std::map<std::string, double> quantiles{
                 {"p50", AMB_P50}, {"p90", AMB_P90}, {"p95", AMB_P95}, {"p99", AMB_P99}};
             if (value.kind() == Json::Kind::Text)
                 options.hedge.after_ms = quantiles.at(value.text());
             else
                 length(options.hedge.after_ms);
         }},
        {"hedge.max", [&] { count(options.hedge.max); }},
        {"idempotent", [&] { on(options.idempotent); }},
        {"balance", [&] { options.balance = value.text().c_str(); }},
        {"endpoints", [&] {
             // Until the next proxy's, as the vector's texts stay for longer.
             static std::vector<amb_endpoint> endpoints;
             endpoints.clear();
             for (const Json &url : value.list()) {
                 amb_endpoint endpoint{};
                 endpoint.url = url.text().c_str();
                 endpoints.push_back(endpoint);
             }
             options.endpoints = endpoints.data();
             options.endpoints_count = endpoints.size();
         }},
        {"outlier.consecutive_failures", [&] { count(options.outlier.consecutive_failures); }},
        {"outlier.base", [&] { length(options.outlier.base_ms); }},
        {"outlier.max_ejected", [&] { to(options.outlier.max_ejected); }},
        {"outlier.panic", [&] { to(options.outlier.panic); }},
    };
    const auto found = settings.find(name);
    if (found == settings.end())
        throw std::invalid_argument("there is no setting " + name);
    found->second();
}

// What a call gives, and when to come again.
struct Ended {
    std::string gives;
    double retry_after_ms = AMB_NONE;
};

// What an attempt does, by the attempt's number in its script: asks for that wait, if it is no 0, and ends so.
using Play = std::function<std::string(const std::function<void(double)> &ask)>;

// One way to make calls.
class Surface {
public:
    virtual ~Surface() = default;
    // Makes a proxy, and gives its handle.
    virtual amb_proxy *proxy(const amb_options &options, const Json &how) = 0;
    virtual Ended call(std::size_t by, const Play &play) = 0;
};

// The C ABI.
class InC : public Surface {
public:
    explicit InC(bool spawned) : spawned_(spawned) {}
    ~InC() override
    {
        for (amb_proxy *proxy : proxies_)
            amb_proxy_free(proxy);
    }

    amb_proxy *proxy(const amb_options &options, const Json &how) override
    {
        amb_options chosen = options;
        chosen.classify = how["classify"].is_null() ? classify : classify_values_too;
        if (!how["fallback"].is_null())
            chosen.fallback = how["fallback"].text() == "answers" ? answers : fails;
        amb_proxy *proxy = nullptr;
        if (amb_proxy_new("payment-api.example.com", &chosen, &proxy) != AMB_OK)
            throw std::invalid_argument(amb_last_error());
        proxies_.push_back(proxy);
        return proxy;
    }

    Ended call(std::size_t by, const Play &play) override
    {
        amb_result result;
        if (spawned_) {
            Spawned spawned{play, {}, {}};
            CHECK_INT(amb_proxy_spawn(proxies_.at(by), run_spawned, &spawned, destroy, done, nullptr), AMB_OK);
            spawned.destroyed.get_future().wait();
            result = spawned.result;
        } else {
            const std::int32_t status = amb_proxy_call(proxies_.at(by), run, const_cast<Play *>(&play), &result);
            CHECK_INT(status, result.status);
        }
        switch (result.status) {
        case AMB_OK:
            return {result.original_status == AMB_OK ? "value" : "fallback"};
        case FALLBACK_FAILS:
            CHECK(result.original_status != AMB_OK);
            return {"fallback_error"};
        case FAILS:
        case FINAL:
            return {"error"};
        case AMB_CANCELLED:
            return {"cancelled"};
        default:
            return {code(result.status), result.retry_after_ms};
        }
    }

private:
    struct Spawned {
        const Play &play;
        amb_result result;
        std::promise<void> destroyed;
    };

    static std::int32_t run(const amb_attempt *attempt, void *data) noexcept
    {
        const Play &play = *static_cast<Play *>(data);
        const std::string end = play([attempt](double wait) { amb_attempt_set_retry_after_ms(attempt, wait); });
        const std::map<std::string, std::int32_t> statuses{{"ok", AMB_OK}, {"final", FINAL}, {"cancel", AMB_CANCELLED}};
        const auto found = statuses.find(end);
        return found == statuses.end() ? FAILS : found->second;
    }

    static std::int32_t run_spawned(const amb_attempt *attempt, void *data) noexcept
    {
        return run(attempt, const_cast<Play *>(&static_cast<Spawned *>(data)->play));
    }

    static void done(const amb_result *result, void *data) noexcept { static_cast<Spawned *>(data)->result = *result; }
    static void destroy(void *data) noexcept { static_cast<Spawned *>(data)->destroyed.set_value(); }

    static std::int32_t classify(std::int32_t status, void *) noexcept
    {
        return status == AMB_OK ? AMB_OUTCOME_OK : status == FINAL ? AMB_OUTCOME_FAIL : AMB_OUTCOME_RETRY;
    }

    static std::int32_t classify_values_too(std::int32_t status, void *) noexcept
    {
        return status == FINAL ? AMB_OUTCOME_FAIL : AMB_OUTCOME_RETRY;
    }

    static std::int32_t answers(const amb_result *, void *, void *) noexcept { return AMB_OK; }
    static std::int32_t fails(const amb_result *, void *, void *) noexcept { return FALLBACK_FAILS; }

    bool spawned_;
    std::vector<amb_proxy *> proxies_{};
};

// ambassador.hpp.
class InCpp : public Surface {
public:
    explicit InCpp(bool spawned) : spawned_(spawned) {}

    amb_proxy *proxy(const amb_options &options, const Json &how) override
    {
        ambassador::Options chosen = ambassador::detail::dressed(options);
        chosen.classify = [throws = !how["classify"].is_null()](const std::exception_ptr &error) {
            if (throws)
                throw ByClassifier();
            try {
                std::rethrow_exception(error);
            } catch (const Final &) {
                return Outcome::Fail;
            } catch (...) {
                return Outcome::Retry;
            }
        };
        proxies_.emplace_back("payment-api.example.com", std::move(chosen));
        fallbacks_.push_back(how["fallback"].is_null() ? "" : how["fallback"].text());
        return proxies_.back().get();
    }

    Ended call(std::size_t by, const Play &play) override
    {
        const auto function = [&play](const ambassador::Attempt &attempt) {
            const std::string end = play([&attempt](double wait) { attempt.set_retry_after(ambassador::Duration(wait)); });
            if (end == "cancel")
                throw ambassador::Cancelled();
            if (end == "final")
                throw Final();
            if (end != "ok")
                throw Failure();
            return std::string("value");
        };
        const AmbassadorProxy &proxy = proxies_.at(by);
        const auto call = [&](const auto &way) { return spawned_ ? way.spawn(function).get() : way.execute(function); };
        const auto fails = []() -> std::string { throw ByFallback(); };
        const std::string &fallback = fallbacks_.at(by);
        try {
            if (fallback.empty())
                return {call(proxy)};
            return {fallback == "answers" ? call(proxy.fallback("fallback")) : call(proxy.fallback(fails))};
        } catch (const ambassador::Cancelled &) {
            return {"cancelled"};
        } catch (const ByFallback &) {
            return {"fallback_error"};
        } catch (const ByClassifier &) {
            return {"classifier"};
        } catch (const ambassador::AmbassadorError &error) {
            return {code(error.status()), error.retry_after().value_or(ambassador::Duration(AMB_NONE)).count()};
        } catch (const std::runtime_error &) {
            return {"error"};
        }
    }

private:
    bool spawned_;
    std::vector<AmbassadorProxy> proxies_{};
    std::vector<std::string> fallbacks_{}; // `answers`, `throws`, or none.
};

// One vector on one surface.
class Runner {
public:
    Runner(Surface &surface, const Json &vector) : surface_(surface), vector_(vector) {}

    // What does not hold; empty when all does.
    std::string run()
    {
        static int number = 0;
        const std::string name = "vector " + std::to_string(number++);
        if (!vector_["refuses"].is_null())
            return refused(name, vector_["refuses"].text());
        for (const Json &how : vector_["proxies"].list())
            proxies_.push_back(proxy(name, how));
        // Kept for ever, as listeners are.
        auto &events = *new std::vector<Json>;
        amb_proxy_on_event(proxies_.at(0), keep, &events);
        if (!vector_["seed"].is_null())
            amb_test_seed_jitter(proxies_[0], vector_["seed"].whole());
        steps(vector_["steps"]);
        amb_test_inject_panic(nullptr);
        health(vector_["health"]);
        if (!vector_["events"].is_null())
            told(vector_["events"].list(), events);
        return fault_;
    }

private:
    amb_proxy *proxy(const std::string &name, const Json &how)
    {
        amb_options options;
        amb_options_init(&options);
        options.name = name.c_str();
        for (const Json &setting : how["settings"].list())
            set(options, setting.list().at(0).text(), setting.list().at(1));
        return surface_.proxy(options, how);
    }

    // No proxy is made, and the error begins with the setting, of a length of time with its unit.
    std::string refused(const std::string &name, const std::string &setting)
    {
        try {
            proxy(name, vector_["proxies"].list().at(0));
        } catch (const std::exception &error) {
            const std::string said = error.what();
            for (const char *unit : {": ", "_ms: "})
                if (said.rfind(setting + unit, 0) == 0)
                    return {};
            return "refused otherwise: " + said;
        }
        return "a proxy was made";
    }

    static void keep(const char *event, void *data) noexcept
    {
        static_cast<std::vector<Json> *>(data)->push_back(Json::of(event));
    }

    template <class... Parts>
    void check(bool holds, const Parts &...parts)
    {
        if (holds || !fault_.empty())
            return;
        std::ostringstream text;
        (text << ... << parts);
        fault_ = text.str();
    }

    void steps(const Json &steps)
    {
        for (const Json &step : steps.list()) {
            const std::string &op = step["op"].text();
            if (op == "advance")
                time_.advance(ambassador::Duration(ms(step["ns"].whole())));
            else if (op == "isolate")
                amb_proxy_isolate(proxies_[0]);
            else if (op == "reset")
                amb_proxy_reset(proxies_[0]);
            else if (op == "fault")
                amb_test_inject_panic(step["at"].text().c_str());
            else if (op == "health")
                health(step["is"]);
            else if (op == "call")
                call(step);
            else
                check(false, "there is no step ", op);
        }
    }

    void call(const Json &step)
    {
        const std::vector<Json> &attempts = step["attempts"].list();
        const std::uint64_t begun = ns(time_.elapsed().count());
        std::size_t ran = 0, mark = time_.waits().size();
        // What nested calls wait is theirs.
        std::vector<std::uint64_t> waited;
        const auto note_waits = [&] {
            const auto waits = time_.waits();
            for (; mark < waits.size(); ++mark)
                waited.push_back(ns(waits[mark].count()));
        };
        const Play play = [&](const std::function<void(double)> &ask) -> std::string {
            note_waits();
            if (ran++ >= attempts.size())
                return "error";
            const Json &attempt = attempts[ran - 1];
            steps(attempt["do"]);
            time_.advance(ambassador::Duration(ms(attempt["takes"].whole())));
            if (!attempt["hint"].is_null())
                ask(ms(attempt["hint"].whole()));
            mark = time_.waits().size();
            return attempt["end"].text();
        };
        const Ended ended = surface_.call(step["by"].whole(), play);
        note_waits();
        const std::string &gives = step["gives"].text();
        check(ended.gives == gives, "a call that gives ", gives, " gave ", ended.gives);
        check(ran == attempts.size(), "a call that gives ", gives, ": ", ran, " attempts ran, not ", attempts.size());
        std::ostringstream shown;
        for (std::uint64_t wait : waited)
            shown << wait << ' ';
        if (const Json &waits = step["waits"]; !waits.is_null()) {
            bool same = waited.size() == waits.size();
            for (std::size_t at = 0; same && at < waited.size(); ++at)
                same = waited[at] == waits.list()[at].whole();
            check(same, "a call that gives ", gives, " waited ", shown.str(), "not ", waits.shown());
        }
        if (const Json &within = step["waits_within"]; !within.is_null()) {
            bool fits = waited.size() == within.size();
            for (std::size_t at = 0; fits && at < waited.size(); ++at) {
                const std::vector<Json> &ends = within.list()[at].list();
                fits = waited[at] >= ends.at(0).whole() && waited[at] <= ends.at(1).whole();
            }
            check(fits, "a call that gives ", gives, " waited ", shown.str(), "not within ", within.shown());
        }
        const std::uint64_t took = ns(time_.elapsed().count()) - begun;
        if (const Json &elapsed = step["elapsed"]; !elapsed.is_null())
            check(took == elapsed.whole(), "a call that gives ", gives, " took ", took, ", not ", elapsed.shown());
        if (const Json &after = step["retry_after"]; !after.is_null())
            check(ended.retry_after_ms != AMB_NONE && ns(ended.retry_after_ms) == after.whole(), "a call that gives ", gives,
                  ": again in ", ended.retry_after_ms, " ms, not ", after.shown());
    }

    void health(const Json &expected)
    {
        char *text = amb_proxy_health(proxies_[0]);
        const Json health = Json::of(text);
        amb_string_free(text);
        for (const std::string &path : expected.names())
            check(health.at(path) == expected[path], "health: ", path, " is ", health.at(path).shown(), ", not ",
                  expected[path].shown());
    }

    void told(const std::vector<Json> &expected, const std::vector<Json> &events)
    {
        check(events.size() == expected.size(), events.size(), " events were told, not ", expected.size());
        for (std::size_t at = 0; at < std::min(events.size(), expected.size()); ++at)
            for (const std::string &name : expected[at].names())
                check(events[at][name] == expected[at][name], "told ", events[at].shown(), ", not ", expected[at].shown());
    }

    Surface &surface_;
    const Json &vector_;
    ambassador::testing::VirtualTime time_{};
    std::vector<amb_proxy *> proxies_{};
    std::string fault_{};
};

// Whether an attempt of that proxy's calls ends with a value.
bool has_value(const Json &steps, std::size_t by)
{
    for (const Json &step : steps.list())
        if (step["op"].text() == "call")
            for (const Json &attempt : step["attempts"].list())
                if ((step["by"].whole() == by && attempt["end"].text() == "ok") || has_value(attempt["do"], by))
                    return true;
    return false;
}

// Why a vector cannot be said there; empty when it can.
std::string unsaid(const Json &vector, bool cpp)
{
    const std::vector<Json> &proxies = vector["proxies"].list();
    for (std::size_t by = 0; by < proxies.size(); ++by) {
        const Json &classify = proxies[by]["classify"];
        if (classify.is_null())
            continue;
        if (!cpp && classify.text() == "throws")
            return "a classify that throws, which in C nothing can";
        if (cpp && (classify.text() != "throws" || has_value(vector["steps"], by)))
            return "a classify that judges values, which in C++ is given exceptions alone";
    }
    return {};
}

// By its id, with the rules that it shows.
std::string named(const Json &vector)
{
    std::string rules;
    for (const Json &rule : vector["rules"].list())
        rules += (rules.empty() ? "" : ", ") + rule.text();
    return vector["id"].text() + " (" + rules + ')';
}

} // namespace

int main(int argc, char **argv)
{
    if (argc != 3) {
        std::cerr << "usage: " << argv[0] << " VECTORS REPORT\n";
        return 2;
    }
    amb_set_log(nullptr, nullptr);
    const Json vectors = Json::of_file(argv[1]);
    std::ofstream report(argv[2]);
    std::size_t faults = 0;
    for (const bool cpp : {false, true})
        for (const bool spawned : {false, true}) {
            std::size_t ran = 0, skipped = 0;
            std::map<std::string, std::size_t> why;
            for (const Json &vector : vectors.list()) {
                if (const std::string reason = unsaid(vector, cpp); !reason.empty()) {
                    ++skipped;
                    ++why[reason];
                    continue;
                }
                std::unique_ptr<Surface> surface;
                if (cpp)
                    surface = std::make_unique<InCpp>(spawned);
                else
                    surface = std::make_unique<InC>(spawned);
                std::string fault;
                try {
                    fault = Runner(*surface, vector).run();
                } catch (const std::exception &error) {
                    fault = error.what();
                }
                ++ran;
                if (!fault.empty()) {
                    ++faults;
                    std::cerr << (cpp ? "C++" : "C") << (spawned ? ", spawned" : "") << ": " << named(vector) << ": " << fault
                              << '\n';
                }
            }
            CHECK(ran + skipped == vectors.size());
            std::ostringstream line;
            line << "conformance: " << (cpp ? "C++" : "C") << (spawned ? " (spawned)" : "") << " ran " << ran
                 << " vectors, skipped " << skipped;
            for (const auto &[reason, count] : why)
                line << (&reason == &why.begin()->first ? ": " : "; ") << count << " with " << reason;
            std::cout << line.str() << '\n';
            report << line.str() << '\n';
        }
    CHECK(report.flush().good());
    if (faults > 0)
        std::cerr << faults << " do not hold\n";
    return faults > 0 ? 1 : 0;
}
