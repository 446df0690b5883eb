/**
 * @file ambassador_testing.hpp
 * For tests of programs that use ambassador.hpp: no real waiting, jitter that repeats, functions by script.
 *
 * @code
 * const ambassador::testing::VirtualTime time;
 * ambassador::testing::Script<std::string, double> charge{"charged"};
 * charge.fails(std::runtime_error("Payment API unreachable"), 2);
 * CHECK(payments.call(charge, 99.99) == "charged");
 * CHECK(time.waits().size() == 2 && charge.calls().size() == 3);
 * @endcode
 */
#ifndef AMBASSADOR_TESTING_HPP
#define AMBASSADOR_TESTING_HPP

#include "ambassador.hpp"

#include <cstddef>
#include <exception>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <tuple>
#include <vector>

/** For tests of programs that use the ambassador. */
namespace ambassador::testing {

/**
 * Virtual time, for the whole process, for as long as this lives: waits pass at once, and the clock moves only by them and by
 * advance(). A function that moves it beyond its bound has timed out when it returns; one that really hangs is not given up.
 * Tests in virtual time do not run beside others.
 */
class VirtualTime {
public:
    /** @throws std::logic_error when time is virtual already */
    VirtualTime()
    {
        if (amb_test_virtual_time_start() != AMB_OK)
            throw std::logic_error("time is virtual already: tests in virtual time run one at a time");
    }
    /** Time is real again. */
    ~VirtualTime() { amb_test_virtual_time_stop(); }
    VirtualTime(const VirtualTime &) = delete;
    VirtualTime &operator=(const VirtualTime &) = delete;

    /** Moves time on. @throws std::invalid_argument when that is no length of time */
    void advance(Duration length) const
    {
        if (amb_test_virtual_time_advance_ms(length.count()) != AMB_OK)
            throw std::invalid_argument(amb_last_error());
    }

    /** How long time has been virtual, in virtual time. */
    Duration elapsed() const noexcept { return Duration(amb_test_virtual_time_elapsed_ms()); }

    /** The waits so far, in their order: between attempts, for a turn, in a queue. */
    std::vector<Duration> waits() const
    {
        std::vector<double> waits(amb_test_virtual_time_waits(nullptr, 0));
        // One that was added meanwhile, by another thread, is left to the next time.
        amb_test_virtual_time_waits(waits.data(), waits.size());
        return {waits.begin(), waits.end()};
    }
};

/** From now on the jitter of the proxy's target is that of the seed: the same waits each time, in every language. */
inline void seed_jitter(const AmbassadorProxy &proxy, std::uint64_t seed)
{
    if (amb_test_seed_jitter(proxy.get(), seed) != AMB_OK)
        throw std::invalid_argument(amb_last_error());
}

/**
 * A function by script: first the failures that fails() added, then the value, as often as it is called. It takes `Args`, and
 * keeps copies of what it was given. Copies of it play one and the same script, on any thread.
 */
template <class R, class... Args>
class Script {
public:
    /** Returns that value, when it no longer fails. */
    explicit Script(R value) : played_(std::make_shared<Played>(std::move(value))) {}

    /** Throws that exception, so many times. */
    template <class E>
    Script &fails(const E &error, std::size_t times = 1)
    {
        const std::lock_guard<std::mutex> lock(played_->mutex);
        played_->failures.insert(played_->failures.end(), times, std::make_exception_ptr(error));
        return *this;
    }

    /** Plays on. */
    R operator()(Args... args) const
    {
        const std::lock_guard<std::mutex> lock(played_->mutex);
        const std::size_t at = played_->calls.size();
        played_->calls.emplace_back(args...);
        if (at < played_->failures.size())
            std::rethrow_exception(played_->failures[at]);
        return played_->value;
    }

    /** What it was given, call by call. */
    std::vector<std::tuple<std::decay_t<Args>...>> calls() const
    {
        const std::lock_guard<std::mutex> lock(played_->mutex);
        return played_->calls;
    }

private:
    struct Played {
        explicit Played(R value) : value(std::move(value)) {}
        std::mutex mutex{};
        R value;
        std::vector<std::exception_ptr> failures{};
        std::vector<std::tuple<std::decay_t<Args>...>> calls{};
    };
    std::shared_ptr<Played> played_;
};

} // namespace ambassador::testing

#endif
