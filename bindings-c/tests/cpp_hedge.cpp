// Hedged calls of ambassador.hpp (H1): whose value and whose exception a call has, and what becomes of those that lost.
#include "ambassador.hpp"
#include "check.h"

#include <atomic>
#include <thread>

CHECK_MAIN

using namespace std::chrono_literals;
using ambassador::AmbassadorProxy;
using ambassador::Attempt;
using ambassador::Hedge;
using ambassador::Options;

static AmbassadorProxy hedged(ambassador::Duration after = 1ms)
{
    Options options;
    options.max_retries = 2;
    options.timeout = 1h;
    options.backoff = ambassador::Backoff::none();
    options.hedge = Hedge{after};
    options.idempotent = true;
    return AmbassadorProxy{"payment-api.example.com", options};
}

static bool counted(const AmbassadorProxy &proxy, const char *what)
{
    return proxy.health().find(what) != std::string::npos;
}

struct Unreachable : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// Something that happens once, and is waited for.
class Event {
public:
    void happened() { promise_.set_value(); }
    void wait() const { future_.wait(); }

private:
    std::promise<void> promise_{};
    std::shared_future<void> future_ = promise_.get_future().share();
};

// Tells of its end: an event that happens twice ends the test.
class Told {
public:
    explicit Told(Event &ended) : ended_(&ended) {}
    Told(Told &&other) noexcept : ended_(std::exchange(other.ended_, nullptr)) {}
    Told &operator=(Told &&other) = delete;
    ~Told()
    {
        if (ended_ != nullptr)
            ended_->happened();
    }

private:
    Event *ended_;
};

// What an attempt gives, and tells when it is gone.
struct Receipt {
    std::uint32_t number;
    Told gone;
};

TEST(the_value_is_the_winners_and_that_of_the_loser_is_destroyed_when_it_ends)
{
    for (const bool spawned : {false, true}) {
        const AmbassadorProxy proxy = hedged();
        Event both, may_end, function_gone, first_gone, second_gone;
        auto function = [&, held = Told(function_gone)](const Attempt &attempt) {
            (void)held;
            if (attempt.number() == 2)
                both.happened();
            both.wait();
            if (attempt.number() == 1)
                may_end.wait();
            CHECK_INT(attempt.cancelled(), attempt.number() == 1);
            return Receipt{attempt.number(), Told(attempt.number() == 1 ? first_gone : second_gone)};
        };
        const Receipt receipt = spawned ? proxy.spawn(std::move(function)).get() : proxy.execute(std::move(function));
        CHECK_INT(receipt.number, 2);
        CHECK(counted(proxy, "\"abandoned\":1"));
        may_end.happened();
        first_gone.wait();
        function_gone.wait();
        CHECK(counted(proxy, "\"late_results\":0,\"abandoned\":0"));
    }
}

TEST(the_first_attempts_value_may_win_although_another_began)
{
    const AmbassadorProxy proxy = hedged();
    Event begun, may_end, loser_gone;
    const std::string value = proxy.execute([&, held = Told(loser_gone)](const Attempt &attempt) -> std::string {
        (void)held;
        if (attempt.number() == 1) {
            begun.wait();
            return "of the first";
        }
        begun.happened();
        may_end.wait();
        return "of the second";
    });
    CHECK_TEXT(value.c_str(), "of the first");
    may_end.happened();
    loser_gone.wait();
}

TEST(what_a_loser_throws_is_dropped)
{
    const AmbassadorProxy proxy = hedged();
    Event both, may_end, loser_gone;
    const std::uint32_t winner = proxy.execute([&, held = Told(loser_gone)](const Attempt &attempt) {
        (void)held;
        if (attempt.number() == 2) {
            both.happened();
            return attempt.number();
        }
        both.wait();
        may_end.wait();
        throw Unreachable("too late");
    });
    CHECK_INT(winner, 2);
    may_end.happened();
    loser_gone.wait();
    CHECK(counted(proxy, "\"attempts\":{\"ok\":1,\"failure\":0,\"timeout\":0,\"cancelled\":1}"));
}

TEST(when_both_fail_the_exception_is_the_one_that_came_last_the_same_object)
{
    for (const bool spawned : {false, true}) {
        const AmbassadorProxy proxy = hedged();
        // Of its own: a listener stays, and hears of the other call too.
        const auto recorded = std::make_shared<Event>();
        proxy.on_event([recorded](std::string_view event) {
            if (event.find("\"attempt\":2,\"outcome\":\"failure\"") != std::string_view::npos)
                recorded->happened();
        });
        std::atomic<const void *> thrown{nullptr};
        const auto function = [&](const Attempt &attempt) {
            if (attempt.number() == 2)
                throw Unreachable("the hedge's");
            recorded->wait();
            try {
                throw Unreachable("the first's");
            } catch (const Unreachable &error) {
                thrown = &error;
                throw;
            }
        };
        try {
            spawned ? proxy.spawn(function).get() : proxy.execute(function);
            CHECK(false);
        } catch (const Unreachable &error) {
            CHECK_TEXT(error.what(), "the first's");
            CHECK(&error == thrown);
        }
    }
}

struct Stopped : ambassador::Cancelled {};

TEST(an_attempt_that_is_cancelled_ends_the_call_with_its_own_exception)
{
    const AmbassadorProxy proxy = hedged();
    Event both, may_end, loser_gone;
    try {
        proxy.execute([&, held = Told(loser_gone)](const Attempt &attempt) {
            (void)held;
            if (attempt.number() == 2) {
                both.happened();
                throw Stopped();
            }
            both.wait();
            may_end.wait();
        });
        CHECK(false);
    } catch (const Stopped &) {
    }
    may_end.happened();
    loser_gone.wait();
}

// It is kept for the loser, which still reads it when the call is over.
TEST(temporaries_live_for_as_long_as_an_attempt_runs)
{
    const AmbassadorProxy proxy = hedged();
    Event both, may_end, gone, read;
    std::atomic<int> runs{0};
    const auto charge = [&](const std::string &order, const Told &, int &amount) {
        const int run = ++runs;
        if (run == 2)
            both.happened();
        both.wait();
        if (run == 1)
            may_end.wait();
        CHECK(order == "an order that is longer than any small string is");
        CHECK_INT(amount, 42);
        if (run == 1)
            read.happened();
        return run;
    };
    int amount = 42;
    CHECK_INT(proxy.call(charge, std::string("an order that is longer than any small string is"), Told(gone), amount), 2);
    may_end.happened();
    read.wait();
    gone.wait();
}

TEST(nothing_references_and_what_only_moves_are_values_too)
{
    const AmbassadorProxy proxy = hedged();
    std::atomic<bool> ran{false};
    proxy.call([&] { ran = true; });
    CHECK(ran);
    int value = 1;
    CHECK(&proxy.call([&]() -> int & { return value; }) == &value);
    CHECK_INT(*proxy.call([](int amount) { return std::make_unique<int>(amount); }, 42), 42);
    CHECK(!proxy.call([] { return false; }));
}

struct Charge {
    std::atomic<int> runs{0};
    int operator()() { return ++runs; }
    int of(int amount) { return amount + runs; }
};

TEST(what_is_no_temporary_or_cannot_be_moved_is_referred_to)
{
    // So late that every function runs once.
    const AmbassadorProxy proxy = hedged(1h);
    Charge charge;
    CHECK_INT(proxy.call(charge), 1);
    CHECK_INT(proxy.call(charge), 2);
    CHECK_INT(proxy.call(&Charge::of, charge, 40), 42);
    CHECK_INT(proxy.call(Charge{}), 1);
}

TEST(a_fallback_answers_when_both_have_failed)
{
    const AmbassadorProxy proxy = hedged();
    const auto fails = []() -> std::string { throw Unreachable("Payment API unreachable"); };
    CHECK(proxy.fallback("later").call(fails) == "later");
    const auto cautious = proxy.fallback([held = std::make_unique<std::string>("kept")] { return *held; });
    CHECK(cautious.call(fails) == "kept");
    CHECK(cautious.execute([&](const Attempt &) { return fails(); }) == "kept");
    CHECK(counted(proxy, "\"fallback\":3"));
    try {
        proxy.fallback([]() -> std::string { throw Unreachable("nor the fallback"); }).call(fails);
        CHECK(false);
    } catch (const Unreachable &error) {
        CHECK_TEXT(error.what(), "nor the fallback");
    }
}

TEST(a_call_that_is_stopped_leaves_both_attempts_to_themselves)
{
    const AmbassadorProxy proxy = hedged();
    Event both, may_end, function_gone;
    try {
        proxy.execute([&, held = Told(function_gone)](const Attempt &attempt) {
            (void)held;
            if (attempt.number() == 2) {
                both.happened();
                CHECK(attempt.call().cancel());
            }
            both.wait();
            may_end.wait();
        });
        CHECK(false);
    } catch (const ambassador::Cancelled &) {
    }
    CHECK(counted(proxy, "\"abandoned\":2"));
    may_end.happened();
    function_gone.wait();
    CHECK(counted(proxy, "\"late_results\":0,\"abandoned\":0"));
}

TEST(a_proxy_that_is_moved_is_hedged_where_it_is)
{
    AmbassadorProxy from = hedged();
    const AmbassadorProxy proxy = std::move(from);
    const std::thread::id here = std::this_thread::get_id();
    CHECK(proxy.call([&] { return std::this_thread::get_id() != here; }));
    try {
        from.call([] {});
        CHECK(false);
    } catch (const ambassador::AmbassadorError &error) {
        CHECK_INT(error.status(), AMB_ERR_ARGUMENT);
    }
}

TEST(after_a_shutdown_a_call_is_refused)
{
    const AmbassadorProxy proxy = hedged();
    CHECK(ambassador::shutdown(1h));
    try {
        proxy.call([] {});
        CHECK(false);
    } catch (const ambassador::ShutdownError &error) {
        CHECK_INT(error.attempts(), 0);
    }
    CHECK(proxy.fallback(7).call([] { return 1; }) == 7);
}

TEST(a_quantile_is_told_as_it_was_given)
{
    for (const Hedge hedge : {Hedge::after_p50(), Hedge::after_p90(), Hedge::after_p95(), Hedge::after_p99()}) {
        Options options;
        options.hedge = hedge;
        options.idempotent = true;
        CHECK(AmbassadorProxy("payment-api.example.com", options).policy().hedge->after == hedge.after);
    }
    Options options;
    options.hedge = Hedge{50ms};
    try {
        AmbassadorProxy("payment-api.example.com", options);
        CHECK(false);
    } catch (const ambassador::ConfigError &error) {
        CHECK_TEXT(error.field().c_str(), "idempotent");
    }
}
