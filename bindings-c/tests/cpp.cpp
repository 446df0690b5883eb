// ambassador.hpp: values, exceptions, spawned calls, limits; and ambassador_testing.hpp.
#include "ambassador_testing.hpp"
#include "check.h"

#include <atomic>
#include <thread>

#include <sys/wait.h>
#include <unistd.h>

CHECK_MAIN

using namespace std::chrono_literals;
using ambassador::AmbassadorProxy;
using ambassador::Attempt;
using ambassador::Backoff;
using ambassador::Jitter;
using ambassador::Options;
using ambassador::Outcome;
using ambassador::testing::VirtualTime;

static Options quick()
{
    Options options;
    options.backoff = {1ms, 2, 1s, Jitter::None, 60s};
    return options;
}

// For tests that fail again and again.
static Options untiring()
{
    Options options = quick();
    options.breaker.reset();
    options.budget.reset();
    return options;
}

static int add(int one, int two)
{
    return one + two;
}

struct Account {
    int balance = 0;
    int pay(int amount) { return balance += amount; }
};

TEST(values_references_nothing_and_things_that_only_move_come_back)
{
    const AmbassadorProxy proxy{"payment-api.example.com", quick()};
    CHECK_INT(proxy.call(add, 40, 2), 42);
    Account account;
    CHECK_INT(proxy.call(&Account::pay, account, 5), 5);
    CHECK_INT(proxy.call(&Account::pay, &account, 5), 10);
    int &balance = proxy.call([&]() -> int & { return account.balance; });
    CHECK(&balance == &account.balance);
    bool ran = false;
    proxy.call([&] { ran = true; });
    CHECK(ran);
    const std::unique_ptr<int> moved = proxy.call([] { return std::make_unique<int>(7); });
    CHECK_INT(*moved, 7);
    CHECK_INT(proxy.execute([](const Attempt &attempt) { return attempt.number(); }), 1);
}

struct Unreachable : std::runtime_error {
    using std::runtime_error::runtime_error;
};

TEST(the_last_exception_comes_back_the_same_object)
{
    const AmbassadorProxy proxy{"payment-api.example.com", quick()};
    int ran = 0;
    const void *thrown = nullptr;
    try {
        proxy.call([&] {
            ++ran;
            try {
                throw Unreachable("Payment API unreachable");
            } catch (const Unreachable &error) {
                thrown = &error;
                throw;
            }
        });
        CHECK(!"it throws");
    } catch (const Unreachable &error) {
        CHECK(&error == thrown);
        CHECK_TEXT(error.what(), "Payment API unreachable");
    }
    CHECK_INT(ran, 3);
}

TEST(anything_can_be_thrown)
{
    const AmbassadorProxy proxy{"payment-api.example.com", quick()};
    int ran = 0;
    try {
        proxy.call([&]() -> int { throw ++ran; });
        CHECK(!"it throws");
    } catch (int number) {
        CHECK_INT(number, 3);
    }
}

TEST(a_value_after_failures_comes_back)
{
    const AmbassadorProxy proxy{"payment-api.example.com", quick()};
    static std::string lines;
    ambassador::set_log([](std::string_view line) { lines += std::string(line) + "\n"; });
    const int number = proxy.execute([](const Attempt &attempt) {
        if (attempt.number() < 3)
            throw Unreachable("Payment API unreachable");
        return static_cast<int>(attempt.number());
    });
    CHECK_INT(number, 3);
    CHECK_TEXT(lines.c_str(), "[Ambassador] Retry 1 after 1ms: Payment API unreachable\n"
                              "[Ambassador] Retry 2 after 2ms: Payment API unreachable\n");
}

TEST(a_listener_that_throws_breaks_nothing)
{
    const AmbassadorProxy proxy{"payment-api.example.com", quick()};
    ambassador::set_log([](std::string_view) { throw 1; });
    CHECK_INT(proxy.execute([](const Attempt &attempt) {
        return attempt.number() == 1 ? throw Unreachable("once") : 5;
    }), 5);
    ambassador::set_log(nullptr);
    CHECK_INT(proxy.execute([](const Attempt &attempt) {
        return attempt.number() == 1 ? throw Unreachable("once") : 6;
    }), 6);
}

TEST(a_classifier_says_what_is_tried_again)
{
    Options options = quick();
    options.classify = [](const std::exception_ptr &error) {
        try {
            std::rethrow_exception(error);
        } catch (const std::invalid_argument &) {
            return Outcome::Fail;
        } catch (...) {
            return Outcome::Retry;
        }
    };
    const AmbassadorProxy proxy{"payment-api.example.com", options};
    int ran = 0;
    try {
        proxy.call([&] {
            ++ran;
            throw std::invalid_argument("declined");
        });
        CHECK(!"it throws");
    } catch (const std::invalid_argument &error) {
        CHECK_TEXT(error.what(), "declined");
    }
    CHECK_INT(ran, 1);
}

TEST(a_classifier_that_throws_makes_its_exception_the_calls)
{
    Options options = quick();
    options.classify = [](const std::exception_ptr &) -> Outcome { throw std::logic_error("the classifier's own"); };
    const AmbassadorProxy proxy{"payment-api.example.com", options};
    int ran = 0;
    try {
        proxy.call([&] {
            ++ran;
            throw Unreachable("original");
        });
        CHECK(!"it throws");
    } catch (const std::logic_error &error) {
        CHECK_TEXT(error.what(), "the classifier's own");
    }
    CHECK_INT(ran, 1);
}

TEST(cancelled_is_not_tried_again)
{
    const AmbassadorProxy proxy{"payment-api.example.com", quick()};
    int ran = 0;
    try {
        proxy.call([&] {
            ++ran;
            throw ambassador::Cancelled();
        });
        CHECK(!"it throws");
    } catch (const ambassador::Cancelled &) {
    }
    CHECK_INT(ran, 1);
}

struct Busy : std::runtime_error, ambassador::RetryAfter {
    explicit Busy(ambassador::Duration wait) : std::runtime_error("503"), RetryAfter(wait) {}
};

TEST(an_exception_may_say_when_to_come_again)
{
    const AmbassadorProxy proxy{"payment-api.example.com", quick()};
    const auto began = std::chrono::steady_clock::now();
    proxy.execute([](const Attempt &attempt) {
        if (attempt.number() == 1)
            throw Busy(80ms);
    });
    CHECK(std::chrono::steady_clock::now() - began >= 80ms);
    int ran = 0;
    try {
        proxy.call([&] {
            ++ran;
            throw Busy(61s);
        });
        CHECK(!"it throws");
    } catch (const Busy &) {
    }
    CHECK_INT(ran, 1);
}

TEST(a_wrong_setting_is_named)
{
    try {
        Options options;
        options.max_retries = 0;
        const AmbassadorProxy proxy{"payment-api.example.com", options};
        CHECK(!"it throws");
    } catch (const ambassador::ConfigError &error) {
        CHECK_TEXT(error.field().c_str(), "max_retries");
        CHECK_TEXT(error.value().c_str(), "0");
        CHECK_TEXT(error.allowed().c_str(), "a whole number from 1 to 100");
        CHECK_TEXT(error.what(), "max_retries: 0 is not allowed; expected a whole number from 1 to 100");
        CHECK_INT(error.status(), AMB_ERR_CONFIG);
    }
    try {
        const AmbassadorProxy proxy{"two words"};
        CHECK(!"it throws");
    } catch (const ambassador::AmbassadorError &error) {
        CHECK_TEXT(error.target().c_str(), "two words");
    }
}

// Computes until the attempt's bound has passed.
static void outrun(const Attempt &attempt)
{
    while (!attempt.cancelled()) {
    }
}

TEST(a_timeout_tells_what_was_called_and_what_was_the_cause)
{
    Options options = quick();
    options.timeout = 100ms;
    const AmbassadorProxy proxy{"payment-api.example.com", options};
    try {
        proxy.execute([](const Attempt &attempt) {
            if (attempt.number() == 1)
                throw Unreachable("first");
            outrun(attempt);
        });
        CHECK(!"it throws");
    } catch (const ambassador::DeadlineExceededError &) {
        CHECK(!"no deadline was set");
    } catch (const ambassador::CallTimeoutError &error) {
        CHECK_TEXT(error.target().c_str(), "payment-api.example.com");
        CHECK_INT(error.attempts(), 3);
        CHECK(error.elapsed() >= 203ms);
        CHECK(error.cause() != nullptr);
        try {
            std::rethrow_exception(error.cause());
        } catch (const Unreachable &cause) {
            CHECK_TEXT(cause.what(), "first");
        }
    }
}

TEST(an_exception_that_came_too_late_is_no_cause)
{
    Options options = quick();
    options.timeout = 30ms;
    options.max_retries = 2;
    options.backoff = Backoff::none();
    const AmbassadorProxy proxy{"payment-api.example.com", options};
    const auto late = [](const Attempt &attempt) {
        outrun(attempt);
        throw Unreachable("late");
    };
    try {
        proxy.execute(late);
        CHECK(!"it throws");
    } catch (const ambassador::CallTimeoutError &error) {
        CHECK(error.cause() == nullptr);
    }
    // The first attempt's comes while the second runs.
    try {
        proxy.spawn([](const Attempt &attempt) {
            outrun(attempt);
            if (attempt.number() == 1)
                throw Unreachable("late");
            std::this_thread::sleep_for(30ms);
        }).get();
        CHECK(!"it throws");
    } catch (const ambassador::CallTimeoutError &error) {
        CHECK_INT(error.attempts(), 2);
        CHECK(error.cause() == nullptr);
    }
}

TEST(the_cause_is_the_last_exception_that_came_in_time)
{
    Options options = quick();
    options.timeout = 100ms;
    const AmbassadorProxy proxy{"payment-api.example.com", options};
    const auto one_in_time = [](const Attempt &attempt) {
        if (attempt.number() != 1)
            outrun(attempt);
        throw Unreachable(std::to_string(attempt.number()));
    };
    for (bool spawned : {false, true})
        try {
            spawned ? proxy.spawn(one_in_time).get() : proxy.execute(one_in_time);
            CHECK(!"it throws");
        } catch (const ambassador::CallTimeoutError &error) {
            CHECK(error.cause() != nullptr);
            try {
                std::rethrow_exception(error.cause());
            } catch (const Unreachable &cause) {
                CHECK_TEXT(cause.what(), "1");
            }
        }
}

TEST(what_is_thrown_at_the_bound_is_the_calls_exception_or_no_cause)
{
    Options options = untiring();
    options.timeout = 100us;
    options.max_retries = 1;
    const AmbassadorProxy proxy{"payment-api.example.com", options};
    int own = 0, timeouts = 0;
    for (int call = 0; call < 20000; ++call)
        try {
            proxy.execute([call](const Attempt &attempt) {
                const auto until = std::chrono::steady_clock::now() + *attempt.remaining() - (call % 100) * 1us;
                while (std::chrono::steady_clock::now() < until) {
                }
                throw Unreachable("at the bound");
            });
            CHECK(!"it throws");
        } catch (const Unreachable &) {
            ++own;
        } catch (const ambassador::CallTimeoutError &error) {
            CHECK(error.cause() == nullptr);
            ++timeouts;
        }
    std::printf("%d of their own, %d timeouts\n", own, timeouts);
    CHECK(own > 0 && timeouts > 0);
}

TEST(an_exception_of_any_kind_may_say_when_to_come_again)
{
    const AmbassadorProxy proxy{"payment-api.example.com", quick()};
    static std::string lines;
    ambassador::set_log([](std::string_view line) { lines += line; });
    proxy.execute([](const Attempt &attempt) {
        if (attempt.number() == 1)
            throw ambassador::RetryAfter(20ms);
    });
    CHECK_TEXT(lines.c_str(), "[Ambassador] Retry 1 after 20ms: an exception that is no std::exception");
}

TEST(a_spawned_call_brings_its_value)
{
    const AmbassadorProxy proxy{"payment-api.example.com", quick()};
    auto call = proxy.spawn([](const Attempt &attempt) {
        if (attempt.number() < 3)
            throw Unreachable("not yet");
        return std::make_unique<int>(9);
    });
    CHECK_INT(*call.get(), 9);
    CHECK(!call.cancel());
    int target = 0;
    auto reference = proxy.spawn([&target](const Attempt &) -> int & { return target; });
    CHECK(&reference.get() == &target);
    auto nothing = proxy.spawn([](const Attempt &) {});
    nothing.get();
}

TEST(a_spawned_call_brings_its_exception)
{
    const AmbassadorProxy proxy{"payment-api.example.com", quick()};
    auto call = proxy.spawn([](const Attempt &) -> int { throw Unreachable("never"); });
    try {
        call.get();
        CHECK(!"it throws");
    } catch (const Unreachable &error) {
        CHECK_TEXT(error.what(), "never");
    }
}

TEST(a_spawned_function_that_hangs_is_given_up)
{
    Options options = quick();
    options.timeout = 30ms;
    options.max_retries = 1;
    const AmbassadorProxy proxy{"payment-api.example.com", options};
    std::promise<void> end;
    const std::shared_future<void> ended = end.get_future().share();
    auto call = proxy.spawn([ended](const Attempt &) { ended.wait(); });
    try {
        call.get();
        CHECK(!"it throws");
    } catch (const ambassador::CallTimeoutError &error) {
        CHECK(error.elapsed() >= 30ms);
    }
    end.set_value();
    CHECK(ambassador::shutdown(10s));
}

TEST(a_spawned_call_is_stopped_from_outside)
{
    Options options = quick();
    options.timeout = std::nullopt;
    const AmbassadorProxy proxy{"payment-api.example.com", options};
    std::promise<void> started;
    auto call = proxy.spawn([&started](const Attempt &attempt) {
        started.set_value();
        while (!attempt.cancelled())
            std::this_thread::yield();
        throw ambassador::Cancelled();
    });
    started.get_future().wait();
    CHECK(call.cancel());
    try {
        call.get();
        CHECK(!"it throws");
    } catch (const ambassador::Cancelled &) {
    }
}

TEST(a_call_on_its_callers_thread_is_stopped_by_another)
{
    Options options = quick();
    options.backoff.base = 30s;
    const AmbassadorProxy proxy{"payment-api.example.com", options};
    std::promise<ambassador::CallHandle> begun;
    std::thread stopper([call = begun.get_future()]() mutable { CHECK(call.get().cancel()); });
    const auto before = std::chrono::steady_clock::now();
    ambassador::CallHandle kept;
    CHECK(!kept.cancel());
    try {
        proxy.execute([&](const Attempt &attempt) {
            kept = attempt.call();
            begun.set_value(kept);
            throw Unreachable("once");
        });
        CHECK(!"it throws");
    } catch (const ambassador::Cancelled &) {
    }
    CHECK(std::chrono::steady_clock::now() - before < 10s);
    stopper.join();
    CHECK(!kept.cancel());
}

TEST(a_function_that_stops_its_call_is_asked_to_stop_and_not_tried_again)
{
    const AmbassadorProxy proxy{"payment-api.example.com", quick()};
    int ran = 0;
    try {
        proxy.execute([&ran](const Attempt &attempt) {
            ++ran;
            CHECK(!attempt.cancelled());
            CHECK(attempt.call().cancel());
            CHECK(attempt.cancelled());
            throw Unreachable("stopped");
        });
        CHECK(!"it throws");
    } catch (const ambassador::Cancelled &) {
    }
    CHECK_INT(ran, 1);
    CHECK_INT(proxy.execute([](const Attempt &attempt) { return attempt.call().cancel() ? 5 : 0; }), 5);
}

TEST(the_functions_own_cancelled_comes_back_the_same_object)
{
    struct Stopped : ambassador::Cancelled {
        int why = 5;
    };
    const AmbassadorProxy proxy{"payment-api.example.com", quick()};
    const auto stop = [](const Attempt &attempt) {
        if (attempt.number() == 1)
            throw Unreachable("once");
        throw Stopped();
    };
    for (bool spawned : {false, true})
        try {
            spawned ? proxy.spawn(stop).get() : proxy.execute(stop);
            CHECK(!"it throws");
        } catch (const Stopped &stopped) {
            CHECK_INT(stopped.why, 5);
        }
}

TEST(a_child_that_returns_through_its_parents_call_is_told_so)
{
    const AmbassadorProxy proxy{"payment-api.example.com", quick()};
    pid_t child = -1;
    try {
        proxy.call([&child] {
            child = fork();
            if (child == 0)
                throw Unreachable("in the child");
        });
    } catch (const ambassador::ForkedError &error) {
        CHECK_INT(error.attempts(), 1);
        CHECK(error.cause() == nullptr);
        std::exit(child == 0 ? 0 : 1);
    }
    int status = 0;
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

TEST(a_proxy_moves)
{
    AmbassadorProxy one{"payment-api.example.com", quick()};
    amb_proxy *handle = one.get();
    AmbassadorProxy two = std::move(one);
    CHECK(two.get() == handle);
    AmbassadorProxy three{"other.example.com"};
    three = std::move(two);
    CHECK(three.get() == handle);
    CHECK_TEXT(three.target().c_str(), "payment-api.example.com");
    CHECK_INT(three.call(add, 1, 2), 3);
    CHECK(three.health().find("\"target\":\"payment-api.example.com\"") != std::string::npos);
}

TEST(many_threads_throw_and_none_crosses_the_library)
{
    ambassador::set_log(nullptr);
    Options options = untiring();
    options.backoff = Backoff::none();
    const AmbassadorProxy proxy{"payment-api.example.com", options};
    std::atomic<int> caught{0};
    std::vector<std::thread> threads;
    for (int thread = 0; thread < 16; ++thread)
        threads.emplace_back([&] {
            for (int call = 0; call < 500; ++call) {
                try {
                    proxy.call([&] { throw Unreachable(std::to_string(call)); });
                } catch (const Unreachable &error) {
                    if (error.what() == std::to_string(call))
                        ++caught;
                }
            }
        });
    for (auto &thread : threads)
        thread.join();
    CHECK_INT(caught, 8000);
}

// ---------------------------------------------------------------- breaker, budget, limits, events

TEST(settings_come_back_as_they_were_given)
{
    Options options = quick();
    options.max_retries = 7;
    options.name = "all settings";
    options.timeout = std::nullopt;
    options.deadline = 90s;
    options.backoff.jitter = Jitter::Decorrelated;
    options.classify = [](const std::exception_ptr &) { return Outcome::Fail; };
    options.budget = {0.5, 1, 20s};
    options.breaker = {0.25, 7, 1s, 5, 300ms, 0.75, 250ms, 2s, 2};
    options.bulkhead = {10, 20, 30ms};
    options.rate_limit = {0.5, 1min, 3, 40ms};
    options.hedge = {12.5ms, 3};
    options.idempotent = true;
    const Options given = AmbassadorProxy("payment-api.example.com", options).policy();
    CHECK_INT(given.max_retries, 7);
    CHECK(given.name == "all settings" && !given.timeout && given.deadline == 90s);
    CHECK(given.backoff.jitter == Jitter::Decorrelated && given.backoff.base == 1ms && given.backoff.hint_max == 60s);
    CHECK(given.classify(nullptr) == Outcome::Fail);
    CHECK(given.budget->ratio == 0.5 && given.budget->min_per_second == 1 && given.budget->window == 20s);
    CHECK(given.breaker->failure_rate == 0.25 && given.breaker->min_calls == 7 && given.breaker->window == 1s);
    CHECK(given.breaker->consecutive_failures == 5 && given.breaker->slow_call == 300ms && given.breaker->slow_rate == 0.75);
    CHECK(given.breaker->open_for == 250ms && given.breaker->open_max == 2s && given.breaker->probes == 2);
    CHECK(given.bulkhead->max_concurrent == 10 && given.bulkhead->max_queue == 20 && given.bulkhead->queue_timeout == 30ms);
    CHECK(given.rate_limit->rate == 0.5 && given.rate_limit->per == 1min && given.rate_limit->burst == 3);
    CHECK(given.rate_limit->max_wait == 40ms);
    CHECK(given.hedge->after == 12.5ms && given.hedge->max == 3 && given.idempotent);
}

TEST(the_defaults_are_those_of_c)
{
    const Options given = AmbassadorProxy("payment-api.example.com").policy(), ours;
    CHECK(given.name == "payment-api.example.com" && given.timeout == ours.timeout && given.deadline == ours.deadline);
    CHECK(given.max_retries == ours.max_retries && given.backoff.base == ours.backoff.base);
    CHECK(given.backoff.factor == ours.backoff.factor && given.backoff.max == ours.backoff.max);
    CHECK(given.backoff.jitter == ours.backoff.jitter && given.backoff.hint_max == ours.backoff.hint_max);
    CHECK(given.budget->ratio == ours.budget->ratio && given.budget->min_per_second == ours.budget->min_per_second);
    CHECK(given.budget->window == ours.budget->window);
    CHECK(given.breaker->failure_rate == ours.breaker->failure_rate && given.breaker->min_calls == ours.breaker->min_calls);
    CHECK(given.breaker->window == ours.breaker->window && given.breaker->probes == ours.breaker->probes);
    CHECK(given.breaker->consecutive_failures == ours.breaker->consecutive_failures);
    CHECK(given.breaker->slow_call == ours.breaker->slow_call && given.breaker->slow_rate == ours.breaker->slow_rate);
    CHECK(given.breaker->open_for == ours.breaker->open_for && given.breaker->open_max == ours.breaker->open_max);
    CHECK(!given.bulkhead && !given.rate_limit && !given.hedge && !given.idempotent);
}

TEST(settings_of_networking_come_back_as_they_were_given)
{
    Options options = quick();
    options.endpoints = {"http://10.0.0.7:8080", {"10.0.0.8", 3, "a", {{"colour", "blue"}}}};
    options.balance = ambassador::Balance::Maglev;
    options.hash_on = "path";
    options.zone = "a";
    options.slow_start = 5s;
    options.outlier = {7, 1s, 2s, 0.5, 0};
    options.health_check = ambassador::HealthCheck::by_path("/health");
    options.tls.min_version = ambassador::TlsVersion::V1_3;
    options.tls.pins = {std::string(43, 'A') + "="};
    options.auth = ambassador::Auth::by_password("shop", "tok-7");
    options.headers = {{"X-Team", "payments"}};
    options.idempotency_key = ambassador::IdempotencyKey::Auto;
    options.http.version = ambassador::HttpVersion::Http2;
    options.http.follow_redirects = 3;
    options.http.idle_timeout = 7s;
    Options given = AmbassadorProxy("payment-api.example.com", options).policy();
    CHECK_INT(given.endpoints.size(), 2);
    CHECK(given.endpoints[0].url == "http://10.0.0.7:8080" && given.endpoints[0].weight == 1);
    CHECK(given.endpoints[1].weight == 3 && given.endpoints[1].zone == "a");
    CHECK(given.endpoints[1].metadata.at("colour") == "blue");
    CHECK(given.balance == ambassador::Balance::Maglev && given.hash_on == "path" && given.zone == "a");
    CHECK(given.slow_start == 5s && given.outlier->consecutive_failures == 7 && given.outlier->max == 2s);
    CHECK(given.health_check->path == "/health" && !given.health_check->tcp && given.health_check->interval == 10s);
    CHECK(given.tls.min_version == ambassador::TlsVersion::V1_3 && given.tls.pins == options.tls.pins && given.tls.ca.empty());
    CHECK(given.auth->username == "shop" && given.auth->password == "***" && given.auth->bearer.empty());
    CHECK(given.headers == (ambassador::Headers{{"x-team", "***"}}));
    CHECK(given.idempotency_key == ambassador::IdempotencyKey::Auto);
    CHECK(given.http.version == ambassador::HttpVersion::Http2 && given.http.follow_redirects == 3);
    CHECK(given.http.idle_timeout == 7s && given.http.max_connections == 100);

    options.endpoints.clear();
    options.outlier.reset();
    options.health_check = ambassador::HealthCheck::by_tcp();
    options.discovery = ambassador::Discovery::by_dns("payment-api.internal:8080", {"127.0.0.1:5353"});
    given = AmbassadorProxy("payment-api.example.com", options).policy();
    CHECK(given.endpoints.empty() && !given.outlier && given.health_check->tcp);
    CHECK(given.discovery->dns == "payment-api.internal:8080" && given.discovery->srv.empty());
    CHECK(given.discovery->servers == (std::vector<std::string>{"127.0.0.1:5353"}) && given.discovery->refresh == 30s);
}

TEST(the_defaults_of_networking_are_those_of_c)
{
    const Options given = AmbassadorProxy("payment-api.example.com").policy(), ours;
    CHECK(given.endpoints.empty() && !given.discovery && !given.health_check && !given.auth && given.headers.empty());
    CHECK(given.balance == ours.balance && given.slow_start == ours.slow_start && given.hash_on.empty() && given.zone.empty());
    CHECK(given.outlier->consecutive_failures == ours.outlier->consecutive_failures);
    CHECK(given.outlier->base == ours.outlier->base && given.outlier->max == ours.outlier->max);
    CHECK(given.outlier->max_ejected == ours.outlier->max_ejected && given.outlier->panic == ours.outlier->panic);
    CHECK(given.tls.min_version == ours.tls.min_version && given.idempotency_key == ours.idempotency_key);
    CHECK(given.http.version == ours.http.version && given.http.max_header_bytes == ours.http.max_header_bytes);
    CHECK(given.http.max_body_bytes == ours.http.max_body_bytes && given.http.replay_bytes == ours.http.replay_bytes);
    CHECK(given.http.follow_redirects == ours.http.follow_redirects && given.http.decompress == ours.http.decompress);
    CHECK(given.http.proxy_from_environment == ours.http.proxy_from_environment);
    CHECK(given.http.attempt_headers == ours.http.attempt_headers);
    CHECK(given.http.max_connections == ours.http.max_connections && given.http.idle_timeout == ours.http.idle_timeout);
}

TEST(a_group_that_is_nothing_is_off_and_a_limit_without_its_number_is_wrong)
{
    const Options given = AmbassadorProxy("payment-api.example.com", untiring()).policy();
    CHECK(!given.budget && !given.breaker);
    Options options = quick();
    options.bulkhead = ambassador::Bulkhead::adaptive();
    CHECK_INT(AmbassadorProxy("payment-api.example.com", options).policy().bulkhead->max_concurrent, AMB_ADAPTIVE);
    options.bulkhead = ambassador::Bulkhead{};
    try {
        const AmbassadorProxy proxy{"payment-api.example.com", options};
        CHECK(!"it throws");
    } catch (const ambassador::ConfigError &error) {
        CHECK_TEXT(error.field().c_str(), "bulkhead.max_concurrent");
    }
    options.bulkhead.reset();
    options.rate_limit = ambassador::RateLimit{};
    try {
        const AmbassadorProxy proxy{"payment-api.example.com", options};
        CHECK(!"it throws");
    } catch (const ambassador::ConfigError &error) {
        CHECK_TEXT(error.field().c_str(), "rate_limit.rate");
    }
}

TEST(a_call_that_is_refused_says_by_whom_and_when_to_come_again)
{
    const VirtualTime time;
    Options options = quick();
    options.max_retries = 1;
    options.breaker->min_calls = 1;
    options.rate_limit = {10, 1s, 2, ambassador::Duration(0)};
    options.bulkhead = {1, 0, std::nullopt};
    const AmbassadorProxy proxy{"payment-api.example.com", options};
    // One place, and this call has it.
    proxy.call([&proxy] {
        try {
            proxy.call([] {});
            CHECK(!"it throws");
        } catch (const ambassador::BulkheadFullError &error) {
            CHECK_INT(error.status(), AMB_ERR_BULKHEAD_FULL);
            CHECK(!error.retry_after());
        }
    });
    try {
        proxy.call([] {});
        CHECK(!"it throws");
    } catch (const ambassador::RateLimitedError &error) {
        CHECK(error.retry_after() == 100ms && error.attempts() == 0 && !error.cause());
        time.advance(*error.retry_after());
    }
    try {
        proxy.call([] { throw Unreachable("it trips the breaker"); });
        CHECK(!"it throws");
    } catch (const Unreachable &) {
    }
    time.advance(1s);
    for (bool spawned : {false, true})
        try {
            time.advance(1s);
            spawned ? proxy.spawn([](const Attempt &) {}).get() : proxy.call([] {});
            CHECK(!"it throws");
        } catch (const ambassador::CircuitOpenError &error) {
            CHECK(error.retry_after() == (spawned ? 2s : 3s));
            CHECK_TEXT(error.target().c_str(), "payment-api.example.com");
        }
}

TEST(a_circuit_is_steered_by_hand_and_listeners_are_told)
{
    const AmbassadorProxy proxy{"payment-api.example.com", quick()};
    static std::string events;
    proxy.on_event([](std::string_view) { throw 1; });
    proxy.on_event([](std::string_view event) { events += std::string(event) + "\n"; });
    proxy.isolate();
    try {
        proxy.call(add, 1, 2);
        CHECK(!"it throws");
    } catch (const ambassador::CircuitOpenError &error) {
        CHECK(!error.retry_after());
    }
    proxy.reset();
    CHECK_INT(proxy.call(add, 1, 2), 3);
    CHECK(events.find(R"("from":"closed","to":"isolated")") != std::string::npos);
    CHECK(events.find(R"("outcome":"rejected")") != std::string::npos);
    CHECK(events.find(R"("from":"isolated","to":"closed")") != std::string::npos);
    CHECK(events.find(R"("outcome":"ok")") != std::string::npos);
}

TEST(a_proxy_that_was_moved_from_says_so_whatever_it_is_asked)
{
    AmbassadorProxy one{"payment-api.example.com", quick()};
    const AmbassadorProxy two = std::move(one);
    int refused = 0;
    const auto refuses = [&refused](auto &&asked) {
        try {
            asked();
            CHECK(!"it throws");
        } catch (const ambassador::AmbassadorError &error) {
            CHECK_INT(error.status(), AMB_ERR_ARGUMENT);
            ++refused;
        }
    };
    refuses([&] { one.isolate(); });
    refuses([&] { one.reset(); });
    refuses([&] { one.policy(); });
    refuses([&] { one.on_event([](std::string_view) {}); });
    CHECK_INT(refused, 4);
}

// ---------------------------------------------------------------- ambassador_testing.hpp

TEST(virtual_time_ends_with_its_scope_however_that_ends)
{
    Options options;
    options.backoff.jitter = Jitter::None;
    const AmbassadorProxy proxy{"payment-api.example.com", options};
    try {
        const VirtualTime time;
        ambassador::testing::Script<std::string, double> charge{"charged"};
        charge.fails(Unreachable("Payment API unreachable"), 2);
        CHECK(proxy.call(charge, 99.99) == "charged");
        CHECK((time.waits() == std::vector<ambassador::Duration>{2s, 4s}));
        CHECK(time.elapsed() == 6s);
        CHECK_INT(charge.calls().size(), 3);
        CHECK(std::get<0>(charge.calls()[2]) == 99.99);
        time.advance(250ms);
        CHECK(time.elapsed() == 6250ms);
        try {
            const VirtualTime twice;
            CHECK(!"it throws");
        } catch (const std::logic_error &) {
        }
        CHECK(time.elapsed() == 6250ms);
        try {
            time.advance(-1ms);
            CHECK(!"it throws");
        } catch (const std::invalid_argument &) {
        }
        throw Unreachable("a test that fails");
    } catch (const Unreachable &) {
    }
    CHECK_INT(amb_test_virtual_time_advance_ms(1), AMB_ERR_ARGUMENT);
    const VirtualTime again;
    CHECK(again.waits().empty());
}

TEST(seeded_jitter_repeats)
{
    const VirtualTime time;
    Options options = untiring();
    options.backoff = {};
    const AmbassadorProxy proxy{"payment-api.example.com", options};
    for (int round = 0; round < 2; ++round) {
        ambassador::testing::seed_jitter(proxy, 1234567);
        proxy.call(ambassador::testing::Script<int>{1}.fails(Unreachable("once")));
    }
    CHECK(time.waits().size() == 2 && time.waits()[0] == time.waits()[1]);
}
