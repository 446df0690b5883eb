// Plays a script with ambassador.hpp, in virtual time, and prints what happens, a line of JSON each: `streams SCRIPT SURFACE`, where
// the surface is `execute` or `spawn`.
#include <ambassador_testing.hpp>

#include <cmath>
#include <cstdint>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace {

using ambassador::AmbassadorProxy;
using ambassador::Attempt;
using ambassador::Duration;

// What the functions of a script fail with.
struct Failure : std::runtime_error {
    using std::runtime_error::runtime_error;
};
// One that may not be tried again.
struct Final : Failure {
    using Failure::Failure;
};

std::int64_t nanoseconds(Duration length)
{
    return std::llround(length.count() * 1e6);
}

void tell(const std::string &line)
{
    std::cout << line << '\n';
}

ambassador::Outcome classify(const std::exception_ptr &error)
{
    try {
        std::rethrow_exception(error);
    } catch (const Final &) {
        return ambassador::Outcome::Fail;
    } catch (...) {
        return ambassador::Outcome::Retry;
    }
}

const char *code(const ambassador::AmbassadorError &error)
{
    static const std::map<amb_status, const char *> codes{
        {AMB_ERR_TIMEOUT, "TIMEOUT"},           {AMB_ERR_DEADLINE, "DEADLINE"},           {AMB_ERR_SHUTDOWN, "SHUTDOWN"},
        {AMB_ERR_CIRCUIT_OPEN, "CIRCUIT_OPEN"}, {AMB_ERR_BULKHEAD_FULL, "BULKHEAD_FULL"}, {AMB_ERR_RATE_LIMITED, "RATE_LIMITED"},
    };
    return codes.at(error.status());
}

class Player {
public:
    Player(const char *script, bool spawns) : script_(script), spawns_(spawns)
    {
        if (!script_)
            throw std::invalid_argument("there is no such script");
        options_.classify = classify;
    }

    // Takes the next step, if there is one.
    bool step()
    {
        std::string line, word;
        std::istringstream words;
        while (!(words >> word)) {
            if (!std::getline(script_, line))
                return false;
            words = std::istringstream(line.substr(0, line.find('#')));
        }
        std::vector<std::string> rest;
        for (std::string next; words >> next;)
            rest.push_back(next);
        if (word == "set")
            set(rest.at(0), rest.at(1));
        else if (word == "proxy")
            make_proxy();
        else if (word == "seed")
            ambassador::testing::seed_jitter(proxies_.back(), std::stoull(rest.at(0)));
        else if (word == "advance")
            time_.advance(Duration(std::stod(rest.at(0))));
        else if (word == "isolate")
            proxies_.back().isolate();
        else if (word == "reset")
            proxies_.back().reset();
        else if (word == "shutdown")
            ambassador::shutdown(std::chrono::seconds(30));
        else if (word == "call")
            call(rest);
        else
            throw std::invalid_argument("there is no step " + word);
        return true;
    }

private:
    void set(const std::string &name, const std::string &text)
    {
        ambassador::Options &options = options_;
        if (name.rfind("bulkhead.", 0) == 0 && !options.bulkhead)
            options.bulkhead.emplace();
        if (name.rfind("rate_limit.", 0) == 0 && !options.rate_limit)
            options.rate_limit.emplace();
        const auto number = [&] { return std::stod(text); };
        const auto count = [&] { return std::stoll(text); };
        const auto length = [&] { return Duration(std::stod(text)); };
        const std::map<std::string, std::function<void()>> settings{
            {"name", [&] { options.name = text; }},
            {"max_retries", [&] { options.max_retries = count(); }},
            {"timeout_ms", [&] { options.timeout = length(); }},
            {"deadline_ms", [&] { options.deadline = length(); }},
            {"backoff.base_ms", [&] { options.backoff.base = length(); }},
            {"backoff.factor", [&] { options.backoff.factor = number(); }},
            {"backoff.max_ms", [&] { options.backoff.max = length(); }},
            {"backoff.jitter", [&] { options.backoff.jitter = jitters_.at(text); }},
            {"backoff.hint_max_ms", [&] { options.backoff.hint_max = length(); }},
            {"budget.ratio", [&] { options.budget->ratio = number(); }},
            {"budget.min_per_second", [&] { options.budget->min_per_second = number(); }},
            {"budget.window_ms", [&] { options.budget->window = length(); }},
            {"breaker.failure_rate", [&] { options.breaker->failure_rate = number(); }},
            {"breaker.min_calls", [&] { options.breaker->min_calls = count(); }},
            {"breaker.window_ms", [&] { options.breaker->window = length(); }},
            {"breaker.open_for_ms", [&] { options.breaker->open_for = length(); }},
            {"breaker.open_max_ms", [&] { options.breaker->open_max = length(); }},
            {"breaker.probes", [&] { options.breaker->probes = count(); }},
            {"bulkhead.max_concurrent", [&] { options.bulkhead->max_concurrent = count(); }},
            {"bulkhead.max_queue", [&] { options.bulkhead->max_queue = count(); }},
            {"bulkhead.queue_timeout_ms", [&] { options.bulkhead->queue_timeout = length(); }},
            {"rate_limit.rate", [&] { options.rate_limit->rate = number(); }},
            {"rate_limit.per_ms", [&] { options.rate_limit->per = length(); }},
            {"rate_limit.burst", [&] { options.rate_limit->burst = count(); }},
            {"rate_limit.max_wait_ms", [&] { options.rate_limit->max_wait = length(); }},
        };
        settings.at(name)();
    }

    void make_proxy()
    {
        proxies_.emplace_back("payment-api.example.com", options_);
        if (proxies_.size() == 1)
            proxies_[0].on_event([](std::string_view event) { tell(std::string(event)); });
    }

    void call(const std::vector<std::string> &attempts)
    {
        const int number = ++calls_;
        const Duration begun = time_.elapsed();
        std::size_t ran = 0;
        const auto function = [&](const Attempt &ctx) {
            tell_waits();
            ++ran;
            attempt(ctx, ran <= attempts.size() ? attempts[ran - 1] : "error");
        };
        std::string gives = "value", again;
        try {
            if (spawns_)
                proxies_.back().spawn(function).get();
            else
                proxies_.back().execute(function);
        } catch (const ambassador::Cancelled &) {
            gives = "cancelled";
        } catch (const Failure &) {
            gives = "error";
        } catch (const ambassador::AmbassadorError &error) {
            gives = code(error);
            if (const auto after = error.retry_after())
                again = ",\"retry_after_ns\":" + std::to_string(nanoseconds(*after));
        }
        tell_waits();
        tell("{\"call\":" + std::to_string(number) + ",\"gives\":\"" + gives + "\",\"attempts\":" + std::to_string(ran) +
             ",\"elapsed_ns\":" + std::to_string(nanoseconds(time_.elapsed() - begun)) + again + '}');
    }

    void attempt(const Attempt &ctx, const std::string &script)
    {
        std::istringstream parts(script);
        std::string end, part;
        std::getline(parts, end, ':');
        while (std::getline(parts, part, ':')) {
            if (part == "within")
                step();
            else if (part.rfind("takes=", 0) == 0)
                time_.advance(Duration(std::stod(part.substr(6))));
            else if (part.rfind("hint=", 0) == 0)
                ctx.set_retry_after(Duration(std::stod(part.substr(5))));
        }
        if (end == "error")
            throw Failure("an error");
        if (end == "final")
            throw Final("an error that may not be tried again");
        if (end == "cancel")
            throw ambassador::Cancelled();
    }

    void tell_waits()
    {
        const auto waits = time_.waits();
        for (; waits_ < waits.size(); ++waits_)
            tell("{\"wait_ns\":" + std::to_string(nanoseconds(waits[waits_])) + '}');
    }

    const std::map<std::string, ambassador::Jitter> jitters_{{"full", ambassador::Jitter::Full}};
    std::ifstream script_;
    bool spawns_;
    ambassador::testing::VirtualTime time_{};
    ambassador::Options options_{};
    std::vector<AmbassadorProxy> proxies_{};
    int calls_ = 0;
    std::size_t waits_ = 0;
};

} // namespace

int main(int argc, char **argv)
{
    if (argc != 3) {
        std::cerr << "usage: " << argv[0] << " SCRIPT SURFACE\n";
        return 2;
    }
    Player player(argv[1], std::string(argv[2]) == "spawn");
    while (player.step()) {
    }
    return 0;
}
