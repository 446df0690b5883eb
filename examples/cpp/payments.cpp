// A payment service: the service posts its orders, and the ambassador does the networking. It chooses one of the API's endpoints,
// sends one idempotency key with all attempts of a call, so that an answer lost on the way never charges twice, and decides
// whether, when and where to try again.
//
// `payments-cpp [--calls N] URL...`, where the URLs are the endpoints of a payment API as `ambassador demo` starts one. Four
// threads charge at once. Retry lines go to stderr; the last line on stdout is a report in JSON.
#include <ambassador.hpp>

#include <atomic>
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
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

ambassador::Options settings(const std::vector<std::string> &urls)
{
    ambassador::Options options;
    options.endpoints.assign(urls.begin(), urls.end());
    options.idempotency_key = ambassador::IdempotencyKey::Auto;
    options.max_retries = 6;
    options.timeout = 400ms;
    options.backoff.base = 50ms;
    options.backoff.max = 500ms;
    // This API fails often, and is not down for that: only when nearly all fails.
    options.breaker->failure_rate = 0.9;
    return options;
}

// Charges orders. It knows the API, not how to reach it.
class PaymentService {
public:
    explicit PaymentService(const std::vector<std::string> &urls)
        : proxy("http://payment-api.example.com", settings(urls))
    {
    }

    void charge(const Order &order) const
    {
        const std::string json = "{\"order\":\"" + order.name + "\",\"amount\":" + std::to_string(order.amount) + "}";
        const auto response = proxy.post("/charges", {json, {{"content-type", "application/json"}}});
        const bool is_receipt = response.body().find("\"order\":\"" + order.name + "\"") != std::string_view::npos;
        if (!response.ok() || !is_receipt)
            throw std::runtime_error("the payment API answered with " + std::to_string(response.status()));
    }

    std::string health() const { return proxy.health(); }

private:
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
    int calls = 40;
    std::vector<std::string> urls;
    for (int at = 1; at < argc; ++at) {
        const std::string argument = argv[at];
        if (argument == "--calls" && at + 1 < argc)
            calls = std::atoi(argv[++at]);
        else if (argument.rfind('-', 0) != 0)
            urls.push_back(argument);
        else
            calls = 0;
    }
    if (calls < 1 || urls.empty()) {
        std::fprintf(stderr, "usage: payments-cpp [--calls N] URL...\n");
        return 2;
    }
    try {
        std::printf("%s\n", charge_all(PaymentService(urls), calls).c_str());
        return 0;
    } catch (const std::exception &error) {
        std::fprintf(stderr, "payments-cpp: %s\n", error.what());
        return 1;
    }
}
