// A payment service over real HTTP: plain sockets inside execute(). Each call sends one idempotency key with all its attempts,
// so that an answer lost on the way never charges twice. The ambassador decides whether, when and how often to try again; the
// function heeds its bound by Attempt::remaining().
//
// `payments-cpp [--calls N] URL`, where URL is a payment API as `ambassador demo` starts one. Four threads charge at once by
// execute() rather than by spawn(): a function that keeps to its bound needs no thread of the ambassador's, and may refer to
// its caller's variables. Retry lines go to stderr; the last line on stdout is a report in JSON.
#include <ambassador.hpp>

#include "../c/http.h"

#include <atomic>
#include <cinttypes>
#include <limits>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

namespace {

constexpr int at_once = 4;

struct Order {
    std::string name;
    double amount;
};

// No answer at all.
struct Unreachable : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// An answer that is no charge.
struct Refused : std::runtime_error {
    explicit Refused(int code) : std::runtime_error("the payment API answered with " + std::to_string(code)), status(code) {}
    int status;
};

// An order that the API calls wrong stays wrong.
ambassador::Outcome may_be_tried_again(const std::exception_ptr &error)
{
    try {
        std::rethrow_exception(error);
    } catch (const Refused &refused) {
        return refused.status == 429 || refused.status >= 500 ? ambassador::Outcome::Retry : ambassador::Outcome::Fail;
    } catch (...) {
        return ambassador::Outcome::Retry;
    }
}

ambassador::Options settings()
{
    ambassador::Options options;
    options.max_retries = 6;
    options.timeout = 400ms;
    options.backoff.base = 50ms;
    options.backoff.max = 500ms;
    options.backoff.jitter = ambassador::Jitter::Full;
    // This API fails often, and is not down for that: only when nearly all fails.
    options.breaker->failure_rate = 0.9;
    options.classify = may_be_tried_again;
    return options;
}

// Charges orders. It knows the API, not how to reach it in bad times.
class PaymentService {
public:
    explicit PaymentService(const http_server &api)
        : server(api), proxy(std::string(api.host) + ":" + api.port, settings())
    {
    }

    void charge(const Order &order) const
    {
        proxy.execute([&](const ambassador::Attempt &attempt) { do_charge(attempt, order); });
    }

    std::string health() const { return proxy.health(); }

private:
    void do_charge(const ambassador::Attempt &attempt, const Order &order) const
    {
        std::string headers;
        for (const auto &[name, value] : attempt.headers())
            headers += name + ": " + value + "\r\n";
        const std::string json = "{\"order\":\"" + order.name + "\",\"amount\":" + std::to_string(order.amount) + "}";
        const auto left = attempt.remaining();
        http_answer answer;
        if (const char *error = http_post(&server, "/charges", headers.c_str(), json.c_str(),
                                          left ? left->count() : std::numeric_limits<double>::infinity(), &answer))
            throw Unreachable(error);
        if (answer.retry_after_s >= 0)
            attempt.set_retry_after(std::chrono::duration<double>(answer.retry_after_s));
        const std::string receipt = "\"order\":\"" + order.name + "\"";
        if (answer.status / 100 != 2 || std::string(answer.body).find(receipt) == std::string::npos)
            throw Refused(answer.status);
    }

    http_server server;
    ambassador::AmbassadorProxy proxy;
};

// Charges them all; the report's counts are the ambassador's own.
std::string charge_all(const PaymentService &service, int calls)
{
    const unsigned run = std::random_device{}();
    const auto begun = std::chrono::steady_clock::now();
    std::atomic<int> next{0}, charged{0};
    std::vector<std::thread> tills;
    for (int till = 0; till < at_once; ++till)
        tills.emplace_back([&] {
            for (int number; (number = ++next) <= calls;) {
                char name[48];
                std::snprintf(name, sizeof name, "cpp-%d-%08x", number, run);
                try {
                    service.charge({name, 99.99});
                    ++charged;
                } catch (const std::exception &error) {
                    std::fprintf(stderr, "%s: %s\n", name, error.what());
                }
            }
        });
    for (auto &till : tills)
        till.join();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;

    const std::string health = service.health();
    const auto counts = health.find("\"attempts\":");
    std::uint64_t ok = 0, failure = 0, timeout = 0, cancelled = 0, retries = 0;
    if (counts == std::string::npos
        || std::sscanf(health.c_str() + counts,
                       "\"attempts\":{\"ok\":%" SCNu64 ",\"failure\":%" SCNu64 ",\"timeout\":%" SCNu64 ",\"cancelled\":%" SCNu64
                       "},\"retries\":%" SCNu64,
                       &ok, &failure, &timeout, &cancelled, &retries)
               != 5)
        throw std::runtime_error("the ambassador's health cannot be read");
    return "{\"language\":\"C++\",\"calls\":" + std::to_string(calls)
           + ",\"attempts\":" + std::to_string(ok + failure + timeout + cancelled) + ",\"retries\":" + std::to_string(retries)
           + ",\"timeouts\":" + std::to_string(timeout) + ",\"charged\":" + std::to_string(charged.load())
           + ",\"failed\":" + std::to_string(calls - charged.load()) + ",\"seconds\":" + std::to_string(took.count()) + "}";
}

} // namespace

int main(int argc, char **argv)
{
    int calls = argc == 2 ? 40 : 0;
    if (argc == 4 && std::string(argv[1]) == "--calls")
        calls = std::atoi(argv[2]);
    http_server server;
    if (calls < 1 || !http_server_of(argv[argc - 1], &server)) {
        std::fprintf(stderr, "usage: payments-cpp [--calls N] URL\n");
        return 2;
    }
    try {
        std::printf("%s\n", charge_all(PaymentService(server), calls).c_str());
        return 0;
    } catch (const std::exception &error) {
        std::fprintf(stderr, "payments-cpp: %s\n", error.what());
        return 1;
    }
}
