// Fallbacks of ambassador.hpp (H2): what they answer with, what they are told, what they throw.
#include "ambassador_testing.hpp"
#include "check.h"

#include <thread>

CHECK_MAIN

using namespace std::chrono_literals;
using ambassador::AmbassadorProxy;
using ambassador::Attempt;
using ambassador::Options;
using ambassador::Outcome;

static AmbassadorProxy single(const char *name = "payment-api.example.com")
{
    Options options;
    options.max_retries = 1;
    options.name = name;
    return AmbassadorProxy{"payment-api.example.com", options};
}

struct Unreachable : std::runtime_error {
    Unreachable() : std::runtime_error("Payment API unreachable") {}
};

struct NoPrices : std::runtime_error {
    NoPrices() : std::runtime_error("no prices either") {}
};

static std::string fail()
{
    throw Unreachable();
}

static std::string told(const std::exception_ptr &error)
{
    try {
        std::rethrow_exception(error);
    } catch (const std::exception &thrown) {
        return std::string("later, for ") + thrown.what();
    }
}

static bool counted(const AmbassadorProxy &proxy, const char *what)
{
    return proxy.health().find(what) != std::string::npos;
}

TEST(a_fallback_is_a_value_or_a_function_of_the_error_or_of_nothing)
{
    const AmbassadorProxy proxy = single();
    CHECK(proxy.fallback("later").call(fail) == "later");
    CHECK(proxy.fallback([] { return "later"; }).call(fail) == "later");
    CHECK(proxy.fallback(told).call(fail) == "later, for Payment API unreachable");
    CHECK(proxy.fallback(std::string("later")).execute([](const Attempt &) { return fail(); }) == "later");
    CHECK(proxy.fallback("later").spawn([](const Attempt &) { return fail(); }).get() == "later");
    CHECK(proxy.fallback(told).spawn([](const Attempt &) { return fail(); }).get() == "later, for Payment API unreachable");
    CHECK(counted(proxy, "\"calls\":{\"ok\":0,\"failure\":0,\"timeout\":0,\"rejected\":0,\"cancelled\":0,\"fallback\":6}"));
    CHECK(counted(proxy, "\"attempts\":{\"ok\":0,\"failure\":6"));
}

TEST(a_value_is_not_answered)
{
    const AmbassadorProxy proxy = single();
    const auto cautious = proxy.fallback(-1);
    CHECK_INT(cautious.call([](int amount) { return amount; }, 42), 42);
    CHECK_INT(cautious.spawn([](const Attempt &attempt) { return static_cast<int>(attempt.number()); }).get(), 1);
    CHECK(counted(proxy, "\"fallback\":0"));
}

TEST(nothing_references_and_what_only_moves_are_answered_too)
{
    const AmbassadorProxy proxy = single();
    bool answered = false;
    proxy.fallback([&] { return answered = true; }).call([] { throw Unreachable(); });
    CHECK(answered);
    int one = 1, two = 2;
    int &given = proxy.fallback([&]() -> int & { return two; }).call([&]() -> int & { return one == 1 ? throw Unreachable() : one; });
    CHECK(&given == &two);
    const auto moved = proxy.fallback([] { return std::make_unique<int>(7); }).call([]() -> std::unique_ptr<int> { throw Unreachable(); });
    CHECK_INT(*moved, 7);
    std::promise<void> done;
    proxy.fallback([&] { done.set_value(); }).spawn([](const Attempt &) { throw Unreachable(); }).get();
    CHECK(done.get_future().wait_for(0s) == std::future_status::ready);
}

TEST(a_refusal_is_answered_and_its_facts_are_told)
{
    const AmbassadorProxy proxy = single();
    proxy.isolate();
    const auto status = [](const std::exception_ptr &error) {
        try {
            std::rethrow_exception(error);
        } catch (const ambassador::CircuitOpenError &open) {
            CHECK_INT(open.attempts(), 0);
            CHECK(open.target() == "payment-api.example.com");
            return static_cast<int>(open.status());
        }
    };
    CHECK_INT(proxy.fallback(status).call([] { return 0; }), AMB_ERR_CIRCUIT_OPEN);
    const std::thread::id here = std::this_thread::get_id();
    const auto elsewhere = [here] { return std::this_thread::get_id() != here; };
    CHECK(proxy.fallback(elsewhere).spawn([](const Attempt &) { return false; }).get());
    CHECK(!proxy.fallback(elsewhere).call([] { return true; }));
    CHECK(counted(proxy, "\"rejected\":0,\"cancelled\":0,\"fallback\":3"));
}

TEST(what_a_fallback_throws_is_what_the_call_throws_the_same_object)
{
    const AmbassadorProxy proxy = single();
    const std::exception_ptr own = std::make_exception_ptr(NoPrices());
    const auto cautious = proxy.fallback([own]() -> std::string { std::rethrow_exception(own); });
    const auto throws_it = [own](const auto &call) {
        try {
            call();
            return false;
        } catch (const NoPrices &) {
            return std::current_exception() == own;
        }
    };
    CHECK(throws_it([&] { cautious.call(fail); }));
    CHECK(throws_it([&] { cautious.spawn([](const Attempt &) { return fail(); }).get(); }));
    CHECK(counted(proxy, "\"calls\":{\"ok\":0,\"failure\":2"));
    CHECK(counted(proxy, "\"fallback\":0"));
}

TEST(a_fallback_runs_as_in_a_catch_block_of_the_error)
{
    const AmbassadorProxy proxy = single();
    const auto nests = [](const std::exception_ptr &error) -> std::string {
        CHECK(std::current_exception() == error);
        std::throw_with_nested(NoPrices());
    };
    const auto finds_both = [](const auto &call) {
        try {
            call();
            return false;
        } catch (const NoPrices &error) {
            try {
                std::rethrow_if_nested(error);
                return false;
            } catch (const Unreachable &) {
                return true;
            }
        }
    };
    CHECK(finds_both([&] { proxy.fallback(nests).call(fail); }));
    CHECK(finds_both([&] { proxy.fallback(nests).spawn([](const Attempt &) { return fail(); }).get(); }));
    /* It may hand the error on as well. */
    const auto hands_on = []() -> std::string { throw; };
    try {
        proxy.fallback(hands_on).call(fail);
        CHECK(!"it throws");
    } catch (const Unreachable &) {
    }
    CHECK(counted(proxy, "\"calls\":{\"ok\":0,\"failure\":3"));
}

TEST(a_cancelled_call_is_not_answered)
{
    const AmbassadorProxy proxy = single();
    const auto cautious = proxy.fallback("later");
    const auto is_cancelled = [](const auto &call) {
        try {
            call();
            return false;
        } catch (const ambassador::Cancelled &) {
            return true;
        }
    };
    CHECK(is_cancelled([&] { cautious.call([]() -> std::string { throw ambassador::Cancelled(); }); }));
    CHECK(is_cancelled([&] {
        cautious.execute([](const Attempt &attempt) {
            CHECK(attempt.call().cancel());
            return fail();
        });
    }));
    std::promise<void> started;
    auto call = cautious.spawn([&](const Attempt &attempt) {
        started.set_value();
        while (!attempt.cancelled())
            std::this_thread::yield();
        return fail();
    });
    started.get_future().wait();
    CHECK(call.cancel());
    CHECK(is_cancelled([&] { call.get(); }));
    CHECK(counted(proxy, "\"cancelled\":3,\"fallback\":0"));
    CHECK(ambassador::shutdown(10s));
}

TEST(what_a_classifier_throws_is_not_answered)
{
    Options options;
    options.classify = [](const std::exception_ptr &) -> Outcome { throw NoPrices(); };
    const AmbassadorProxy proxy{"payment-api.example.com", options};
    const auto cautious = proxy.fallback([]() -> std::string { CHECK(!"it is asked"); });
    const auto throws_it = [](const auto &call) {
        try {
            call();
            return false;
        } catch (const NoPrices &) {
            return true;
        }
    };
    CHECK(throws_it([&] { cautious.call(fail); }));
    CHECK(throws_it([&] { cautious.spawn([](const Attempt &) { return fail(); }).get(); }));
    CHECK(counted(proxy, "\"calls\":{\"ok\":0,\"failure\":2"));
}

TEST(what_a_function_that_was_given_up_brings_is_not_the_answer)
{
    Options options;
    options.max_retries = 1;
    options.timeout = 200ms;
    const AmbassadorProxy proxy{"payment-api.example.com", options};
    std::promise<void> may_end, destroyed;
    // Told when the last of its copies is destroyed, which is when no thread uses the call any more.
    const auto tell = [&destroyed](int *) { destroyed.set_value(); };
    std::shared_ptr<int> kept(new int, [tell](int *held) { delete held; tell(held); });
    auto call = proxy
                    .fallback([&] {
                        // It ends, and is dropped, before the answer is given.
                        may_end.set_value();
                        while (!counted(proxy, "\"abandoned\":0"))
                            std::this_thread::yield();
                        return std::string("later");
                    })
                    .spawn([kept, ended = may_end.get_future().share()](const Attempt &) {
                        ended.wait();
                        return std::string("too late");
                    });
    kept.reset();
    CHECK(call.get() == "later");
    destroyed.get_future().wait();
    CHECK(ambassador::shutdown(10s));
}

template <class T, class = void>
struct MayFallBack : std::false_type {};
template <class T>
struct MayFallBack<T, std::void_t<decltype(std::declval<T>().fallback(1))>> : std::true_type {};
static_assert(MayFallBack<AmbassadorProxy &>::value && MayFallBack<const AmbassadorProxy &>::value);
static_assert(!MayFallBack<AmbassadorProxy>::value, "it would outlive the proxy");

TEST(a_proxy_that_was_moved_from_and_one_that_was_moved_to)
{
    AmbassadorProxy proxy = single("one"), other = single("two");
    proxy.swap(other);
    CHECK(proxy.fallback("later").call(fail) == "later");
    CHECK(counted(proxy, "\"name\":\"two\"") && counted(proxy, "\"fallback\":1"));
    AmbassadorProxy moved = std::move(proxy);
    CHECK(moved.fallback("later").call(fail) == "later");
    CHECK(counted(moved, "\"fallback\":2"));
}

TEST(a_proxy_has_the_settings_of_its_kind_told_of_once)
{
    std::vector<std::string> events;
    const AmbassadorProxy first = single("told");
    first.on_event([&events](std::string_view event) { events.emplace_back(event); });
    const AmbassadorProxy second = single("told");
    CHECK(second.fallback("later").call(fail) == "later");
    for (const std::string &event : events)
        CHECK(event.find("\"settings\"") == std::string::npos);
    CHECK_INT(events.size(), 2);
}
