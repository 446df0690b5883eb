/**
 * @file ambassador.hpp
 * Ambassador for C++17: a header-only layer of RAII, values and exceptions over ambassador.h.
 *
 * @code
 * ambassador::AmbassadorProxy payments{"payment-api.example.com"};
 * Receipt receipt = payments.call([&] { return send_charge(order); });
 * @endcode
 *
 * A function fails by throwing. After the last attempt its own exception is rethrown, the same object; an error of the
 * ambassador's own is an AmbassadorError. No exception ever passes through the library's C frames.
 */
#ifndef AMBASSADOR_HPP
#define AMBASSADOR_HPP

#include "ambassador.h"
#include "ambassador_errors.hpp"
#include "ambassador_http.hpp"
#include "ambassador_options.hpp"
#include "ambassador_telemetry.hpp"

#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace ambassador {

/** Thrown by a function: ends the call at once, untried again. Thrown by a call: that, or the call was cancelled. */
class Cancelled : public std::exception {
public:
    /** `the call was cancelled` */
    const char *what() const noexcept override { return "the call was cancelled"; }
};

/** A base for exceptions of your own that know when to come again, as a server says by `Retry-After`. */
class RetryAfter {
public:
    /** To come again after that wait, or later. */
    explicit RetryAfter(Duration wait) : wait_(wait) {}
    virtual ~RetryAfter() = default;
    /** The wait that is asked for. */
    Duration retry_after() const noexcept { return wait_; }

private:
    Duration wait_;
};

/** A call in flight, for others to stop it. Copied freely; may be used from any thread, also after the call's end. */
class CallHandle {
public:
    /** No call's. */
    CallHandle() = default;
    /** The call of that handle of C's. */
    explicit CallHandle(amb_call *call) noexcept : call_(call) {}

    /** Stops the call, as amb_call_cancel() does; false when it has ended already. */
    bool cancel() const noexcept { return amb_call_cancel(call_) == AMB_OK; }

private:
    amb_call *call_ = nullptr;
};

/** One attempt, as a function sees it; valid while the function runs. */
class Attempt {
public:
    /** The attempt that a function of C was given. */
    explicit Attempt(const amb_attempt *attempt) noexcept : attempt_(attempt) {}

    /** 1, 2, 3 … */
    std::uint32_t number() const noexcept { return amb_attempt_number(attempt_); }
    /** Where the attempt goes: the target. */
    std::string_view endpoint() const noexcept { return amb_attempt_endpoint(attempt_); }
    /** What is left until the bound; nullopt when there is none. */
    std::optional<Duration> remaining() const noexcept
    {
        const double left = amb_attempt_remaining_ms(attempt_);
        return left == AMB_NONE ? std::nullopt : std::optional<Duration>(Duration(left));
    }
    /** Whether the result is not wanted any more. */
    bool cancelled() const noexcept { return amb_attempt_cancelled(attempt_); }
    /** A header to send along, such as `idempotency-key`; empty when there is none of that name. */
    std::string header(const char *name) const
    {
        const char *value = amb_attempt_header(attempt_, name);
        return value == nullptr ? std::string() : std::string(value);
    }
    /** All headers to send along. */
    std::vector<std::pair<std::string, std::string>> headers() const
    {
        std::vector<std::pair<std::string, std::string>> all;
        const char *name = nullptr;
        const char *value = nullptr;
        for (std::size_t index = 0; amb_attempt_header_at(attempt_, index, &name, &value); ++index)
            all.emplace_back(name, value);
        return all;
    }
    /** Asks for at least that wait before the next attempt. */
    void set_retry_after(Duration wait) const noexcept { amb_attempt_set_retry_after_ms(attempt_, wait.count()); }
    /** The call that it belongs to, for another thread to stop it. */
    CallHandle call() const noexcept { return CallHandle(amb_attempt_call(attempt_)); }

private:
    const amb_attempt *attempt_;
};

namespace detail {

/** A place for a value of any type: also for references, and for nothing. */
template <class R>
struct Place {
    using Stored = std::conditional_t<std::is_void_v<R>, std::monostate,
                                      std::conditional_t<std::is_reference_v<R>, std::remove_reference_t<R> *, R>>;
    std::optional<Stored> stored{};

    template <class F>
    void fill(F &&function)
    {
        if constexpr (std::is_void_v<R>) {
            function();
            stored.emplace();
        } else if constexpr (std::is_reference_v<R>) {
            auto &&value = function();
            stored.emplace(std::addressof(value));
        } else {
            stored.emplace(function());
        }
    }

    R take()
    {
        if constexpr (std::is_void_v<R>)
            return;
        else if constexpr (std::is_reference_v<R>)
            return static_cast<R>(**stored);
        else
            return std::move(*stored);
    }
};

using Classifier = std::function<Outcome(const std::exception_ptr &)>;

/**
 * What the attempts of a call threw. Which of it came in time only the library knows (T3), and it answers with statuses: so
 * the status of an exception has the number of its attempt in it, whether it may not be tried again, and whether the classifier
 * threw it.
 */
class Thrown {
public:
    static std::int32_t status(const amb_attempt *attempt, Outcome outcome, bool by_classifier = false) noexcept
    {
        const std::uint32_t bits = (outcome == Outcome::Fail ? 1 : 0) + (by_classifier ? 2 : 0);
        return static_cast<std::int32_t>(amb_attempt_number(attempt) * 4 + bits);
    }

    static bool by_classifier(std::int32_t status) noexcept { return status > AMB_OK && status % 4 >= 2; }

    static std::int32_t outcome(std::int32_t status) noexcept
    {
        return status == AMB_OK ? AMB_OUTCOME_OK : status % 2 == 0 ? AMB_OUTCOME_RETRY : AMB_OUTCOME_FAIL;
    }

    void keep(std::uint32_t number, std::exception_ptr error) noexcept
    {
        if (errors_.size() < number)
            errors_.resize(number);
        errors_[number - 1] = std::move(error);
    }

    /** What the attempt of that number threw; null when it threw nothing. */
    std::exception_ptr by(std::uint32_t number) const noexcept
    {
        return number >= 1 && number <= errors_.size() ? errors_[number - 1] : nullptr;
    }

    /** The exception of that status; null when it is one of the library's own. */
    std::exception_ptr of(std::int32_t status) const noexcept
    {
        return status > AMB_OK ? by(static_cast<std::uint32_t>(status / 4)) : nullptr;
    }

private:
    std::vector<std::exception_ptr> errors_{};
};

/** To be called in a catch block: what the present exception means. May replace `error`, if the classifier throws. */
inline std::int32_t failure(const amb_attempt *attempt, const Classifier &classify, std::exception_ptr &error) noexcept
{
    constexpr const char *no_std_exception = "an exception that is no std::exception";
    error = std::current_exception();
    try {
        throw;
    } catch (const Cancelled &) {
        return AMB_CANCELLED;
    } catch (const std::exception &thrown) {
        amb_attempt_set_error(attempt, thrown.what());
        if (const auto *hint = dynamic_cast<const RetryAfter *>(&thrown))
            amb_attempt_set_retry_after_ms(attempt, hint->retry_after().count());
    } catch (const RetryAfter &hint) {
        amb_attempt_set_error(attempt, no_std_exception);
        amb_attempt_set_retry_after_ms(attempt, hint.retry_after().count());
    } catch (...) {
        amb_attempt_set_error(attempt, no_std_exception);
    }
    try {
        return Thrown::status(attempt, classify ? classify(error) : Outcome::Retry);
    } catch (...) {
        error = std::current_exception();
        return Thrown::status(attempt, Outcome::Fail, true);
    }
}

/** The library's view of the statuses of failure(). */
extern "C" inline std::int32_t ambassador_hpp_classify(std::int32_t status, void *)
{
    return Thrown::outcome(status);
}

/** What a call that brought no value ends with. */
[[noreturn]] inline void raise(const amb_result &result, const std::string &target, const Thrown &thrown)
{
    const bool by_function = result.status == AMB_CANCELLED && result.last_status == AMB_CANCELLED;
    if (const auto own = by_function ? thrown.by(result.attempt) : thrown.of(result.status))
        std::rethrow_exception(own);
    if (result.status == AMB_CANCELLED)
        throw Cancelled();
    raise({result.message, static_cast<amb_status>(result.status), target, result.attempts, Duration(result.elapsed_ms),
           thrown.of(result.last_status), length(result.retry_after_ms)});
}

/** A call, as the library finds it when something is to answer in place of its error (H2). */
class Answering {
public:
    virtual std::int32_t answer(const amb_result &ended) noexcept = 0;

protected:
    Answering() = default;
    ~Answering() = default;
};

/** The library's way to it. */
extern "C" inline std::int32_t ambassador_hpp_fallback(const amb_result *ended, void *call, void *)
{
    return static_cast<Answering *>(call)->answer(*ended);
}

/** In place of a fallback: there is none, and nothing is asked. */
struct NoFallback {};

/** What a fallback answers with: what it returns, where it is a function of the error or of nothing; else itself. */
template <class R, class A>
R answer_of(const A &fallback, const std::exception_ptr &error)
{
    constexpr bool of_error = std::is_invocable_v<const A &, const std::exception_ptr &>;
    constexpr bool of_nothing = std::is_invocable_v<const A &>;
    if constexpr (std::is_void_v<R> && of_error)
        std::invoke(fallback, error);
    else if constexpr (std::is_void_v<R> && of_nothing)
        std::invoke(fallback);
    else if constexpr (std::is_invocable_r_v<R, const A &, const std::exception_ptr &>)
        return std::invoke(fallback, error);
    else if constexpr (std::is_invocable_r_v<R, const A &>)
        return std::invoke(fallback);
    else {
        static_assert(std::is_convertible_v<const A &, R>, "a fallback gives what the function returns: as a value, or as a "
                                                           "function of a const std::exception_ptr & or of nothing");
        return fallback;
    }
}

/**
 * To be called in the catch block of what the call ended with, which so is the fallback's too. Fills `place`, or `failed`. What a
 * classifier threw is not answered (A2).
 */
template <class R, class A>
std::int32_t fall_back(const amb_result &ended, const A &fallback, Place<R> &place, std::exception_ptr &failed) noexcept
{
    try {
        if (Thrown::by_classifier(ended.status))
            throw;
        if constexpr (!std::is_same_v<A, NoFallback>)
            place.fill([&]() -> R { return answer_of<R>(fallback, std::current_exception()); });
        return AMB_OK;
    } catch (...) {
        failed = std::current_exception();
        return 1;
    }
}

/** A call on its caller's thread. */
template <class F, class A, class R>
struct Frame final : Answering {
    F &function;
    const A &fallback;
    const Classifier &classify;
    const std::string &target;
    Place<R> place{};
    Thrown thrown{};
    std::exception_ptr failed{};

    Frame(F &function, const A &fallback, const Classifier &classify, const std::string &target)
        : function(function), fallback(fallback), classify(classify), target(target)
    {
    }

    static std::int32_t run(const amb_attempt *attempt, void *data) noexcept
    {
        auto &frame = static_cast<Frame &>(*static_cast<Answering *>(data));
        try {
            frame.place.fill([&]() -> R { return std::invoke(frame.function, Attempt(attempt)); });
            return AMB_OK;
        } catch (...) {
            std::exception_ptr error;
            const std::int32_t status = failure(attempt, frame.classify, error);
            frame.thrown.keep(amb_attempt_number(attempt), std::move(error));
            return status;
        }
    }

    std::int32_t answer(const amb_result &ended) noexcept override
    {
        try {
            raise(ended, target, thrown);
        } catch (...) {
            return fall_back(ended, fallback, place, failed);
        }
    }
};

/** A request on its caller's thread. */
template <class A>
struct Asked final : Answering {
    const A &fallback;
    const std::string &target;
    Place<Response> place{};
    std::exception_ptr failed{};

    Asked(const A &fallback, const std::string &target) : fallback(fallback), target(target) {}

    std::int32_t answer(const amb_result &ended) noexcept override
    {
        try {
            raise(ended, target, {});
        } catch (...) {
            return fall_back(ended, fallback, place, failed);
        }
    }
};

/** A spawned request. */
struct Sent {
    std::promise<Response> promise{};
    std::string target{};

    static void done(amb_response *response, const amb_result *result, void *data) noexcept
    {
        auto &sent = *static_cast<Sent *>(data);
        try {
            if (result->status != AMB_OK)
                raise(*result, sent.target, {});
            sent.promise.set_value(Response(response));
        } catch (...) {
            sent.promise.set_exception(std::current_exception());
        }
    }

    static void destroy(void *data) noexcept { delete static_cast<Sent *>(data); }
};

/** A spawned call: its function, and what its attempts brought, by their numbers, for several may run at once. */
template <class F, class A, class R>
struct Task final : Answering {
    F function;
    A fallback;
    Classifier classify;
    std::string target;
    std::promise<R> promise{};
    std::mutex mutex{};
    std::map<std::uint32_t, Place<R>> values{};
    Thrown thrown{};
    bool over = false; // What attempts bring from now on is nobody's.
    Place<R> answered{};
    std::exception_ptr failed{};

    Task(F function, A fallback, Classifier classify, std::string target)
        : function(std::move(function)), fallback(std::forward<A>(fallback)), classify(std::move(classify)),
          target(std::move(target))
    {
    }

    static Task &of(void *data) noexcept { return static_cast<Task &>(*static_cast<Answering *>(data)); }

    static std::int32_t run(const amb_attempt *attempt, void *data) noexcept
    {
        auto &task = of(data);
        Place<R> place;
        std::exception_ptr error;
        std::int32_t status = AMB_OK;
        try {
            place.fill([&]() -> R { return std::invoke(task.function, Attempt(attempt)); });
        } catch (...) {
            status = failure(attempt, task.classify, error);
        }
        const std::lock_guard<std::mutex> lock(task.mutex);
        if (task.over)
            return status;
        if (error)
            task.thrown.keep(amb_attempt_number(attempt), std::move(error));
        else
            task.values.emplace(amb_attempt_number(attempt), std::move(place));
        return status;
    }

    std::int32_t answer(const amb_result &ended) noexcept override
    {
        conclude();
        try {
            raise(ended, target, thrown);
        } catch (...) {
            return fall_back(ended, fallback, answered, failed);
        }
    }

    static void done(const amb_result *result, void *data) noexcept
    {
        auto &task = of(data);
        auto values = task.conclude();
        try {
            if (result->status != AMB_OK && task.failed)
                std::rethrow_exception(task.failed);
            if (result->status != AMB_OK)
                raise(*result, task.target, task.thrown);
            if constexpr (std::is_void_v<R>)
                task.promise.set_value();
            else if (result->original_status != AMB_OK)
                task.promise.set_value(task.answered.take());
            else
                task.promise.set_value(values.at(result->attempt).take());
        } catch (...) {
            task.promise.set_exception(std::current_exception());
        }
        // Functions that were given up may keep the rest of this for long.
        task.thrown = {};
        task.failed = nullptr;
    }

    static void destroy(void *data) noexcept { delete &of(data); }

private:
    /** The call is over; the values that its attempts brought. */
    std::map<std::uint32_t, Place<R>> conclude() noexcept
    {
        const std::lock_guard<std::mutex> lock(mutex);
        over = true;
        return std::exchange(values, {});
    }
};

/** What a call of a function with arguments keeps for as long as an attempt of it may run: the temporaries among them. The rest it
 * refers to. */
template <class F, class... Args>
struct Bound {
    std::tuple<F, Args...> parts;

    std::invoke_result_t<F &, Args &...> operator()(const Attempt &)
    {
        return std::apply([](auto &...part) -> std::invoke_result_t<F &, Args &...> { return std::invoke(part...); }, parts);
    }
};

/** Whether it can be kept, or is referred to anyway. */
template <class T>
constexpr bool is_kept = std::is_reference_v<T> || std::is_move_constructible_v<T>;

/** A function to be kept, or referred to. */
template <class F>
auto kept(F &&function)
{
    if constexpr (!std::is_reference_v<F> && is_kept<F>)
        return std::move(function);
    else
        return std::ref(function);
}

/** Frees a handle. */
struct Free {
    void operator()(amb_proxy *proxy) const noexcept { amb_proxy_free(proxy); }
};

} // namespace detail

/** A call that was spawned. */
template <class R>
class PendingCall {
public:
    /** As AmbassadorProxy::spawn() makes it. */
    PendingCall(std::future<R> future, CallHandle call) : future_(std::move(future)), call_(call) {}

    /** Waits for the call's end: its value, or its exception. Once. */
    R get() { return future_.get(); }
    /** Waits for at most that long; whether the call has ended. */
    bool wait_for(Duration timeout) const { return future_.wait_for(timeout) == std::future_status::ready; }
    /** Stops the call; false when it has ended already. */
    bool cancel() const noexcept { return call_.cancel(); }

private:
    std::future<R> future_;
    CallHandle call_;
};

template <class A>
class WithFallback;

/** The ambassador for one target. Movable; may be used from any thread. */
class AmbassadorProxy {
public:
    /**
     * @param target  a host such as `payment-api.example.com`, with a port if needed, or the URL of one
     * @param options settings; the defaults are 3 attempts of at most 2 s, with waits of 2 s, 4 s … under full jitter
     * @throws ConfigError when the target or a setting is wrong
     */
    explicit AmbassadorProxy(const std::string &target, Options options = {})
        : hedged_(options.hedge.has_value()), target_(target), classify_(std::move(options.classify))
    {
        const detail::Plain plain(options);
        amb_options raw = plain.raw;
        raw.classify = detail::ambassador_hpp_classify;
        proxy_ = made(raw);
        raw.fallback = detail::ambassador_hpp_fallback;
        answered_ = made(raw);
    }

    /** Takes the other's place; calls of the other are then an AmbassadorError. */
    AmbassadorProxy(AmbassadorProxy &&other) noexcept { swap(other); }
    /** As the constructor that moves. */
    AmbassadorProxy &operator=(AmbassadorProxy &&other) noexcept
    {
        AmbassadorProxy moved(std::move(other));
        swap(moved);
        return *this;
    }
    AmbassadorProxy(const AmbassadorProxy &) = delete;
    AmbassadorProxy &operator=(const AmbassadorProxy &) = delete;

    /** The target, as it was given. */
    const std::string &target() const noexcept { return target_; }

    /**
     * Calls the function with these arguments, on this thread, until it succeeds or no attempt is left. The timeout cannot
     * interrupt it; see execute() for a function that heeds its bound.
     *
     * With `hedge` it runs as by spawn(), several attempts at once, while this thread waits. An attempt that was given up, at its
     * bound or because another has won, may run on after the call: what is given as a temporary, function and arguments, is kept
     * for it, where it can be moved; all else is referred to, and has to live as long, as has what a lambda refers to.
     * @throws whatever the last attempt threw, the same object; AmbassadorError when the ambassador itself ends the call
     */
    template <class F, class... Args>
    std::invoke_result_t<F &, Args &...> call(F &&function, Args &&...args) const
    {
        return apply(proxy_.get(), detail::NoFallback{}, std::forward<F>(function), std::forward<Args>(args)...);
    }

    /** call(), for a function of `const Attempt &`: its number, bound, headers. */
    template <class F>
    std::invoke_result_t<F &, const Attempt &> execute(F &&function) const
    {
        return run(proxy_.get(), detail::NoFallback{}, std::forward<F>(function));
    }

    /**
     * execute() on threads of the ambassador's; returns at once. The bound holds even if the function hangs: it then runs on
     * unseen, also while a next attempt runs, so it must stand being run by two threads at once, as with `hedge` it is anyway.
     */
    template <class F>
    PendingCall<std::invoke_result_t<F &, const Attempt &>> spawn(F function) const
    {
        return begin<detail::NoFallback>(proxy_.get(), {}, std::move(function));
    }

    /**
     * The same proxy, with something that answers in place of whatever a call would throw, refusals included; the call then counts
     * as `fallback`. It gives what the function returns: as a value, or as a function of the error, a `const std::exception_ptr &`,
     * or of nothing. A call that is cancelled is not answered, nor is what a classifier threw.
     *
     * @code
     * Receipt receipt = payments.fallback(Receipt::later()).call([&] { return send_charge(order); });
     * @endcode
     *
     * It runs where the function does, while the error is handled, as in a catch block: `throw;` hands the error on, and
     * std::throw_with_nested() keeps it within another. What it throws is what the call throws, the same object; the call then
     * counts as it had ended.
     */
    template <class A>
    WithFallback<std::decay_t<A>> fallback(A &&answer) const &
    {
        return {*this, std::forward<A>(answer)};
    }
    /** What it gives would outlive the proxy. */
    template <class A>
    void fallback(A &&answer) const && = delete;

    /**
     * Sends a request to the target and waits for the response, which is handed back whatever its status is. Failures that may be tried
     * again are, at another endpoint where there is one, as far as the request may safely be made twice.
     *
     * @code
     * const auto response = payments.request("POST", "/charges", {R"({"amount": 9})", {{"content-type", "application/json"}}});
     * @endcode
     *
     * @param method  the method
     * @param path    the path, which follows the target's, with a query if there is one
     * @param content headers, a body, and how the response is to be read
     * @throws TransportError, CallTimeoutError, or another AmbassadorError, when there is no response
     */
    Response request(const std::string &method, const std::string &path, const Content &content = {}) const
    {
        return send(proxy_.get(), detail::NoFallback{}, method, path, content);
    }
    /** request() with GET. */
    Response get(const std::string &path, const Content &content = {}) const { return request("GET", path, content); }
    /** request() with HEAD. */
    Response head(const std::string &path, const Content &content = {}) const { return request("HEAD", path, content); }
    /** request() with OPTIONS. */
    Response options(const std::string &path, const Content &content = {}) const { return request("OPTIONS", path, content); }
    /** request() with POST. */
    Response post(const std::string &path, const Content &content = {}) const { return request("POST", path, content); }
    /** request() with PUT. */
    Response put(const std::string &path, const Content &content = {}) const { return request("PUT", path, content); }
    /** request() with PATCH. */
    Response patch(const std::string &path, const Content &content = {}) const { return request("PATCH", path, content); }
    /** request() with DELETE, which is a word of C++'s own. */
    Response del(const std::string &path, const Content &content = {}) const { return request("DELETE", path, content); }

    /** request(), but returns at once. */
    PendingCall<Response> request_async(const std::string &method, const std::string &path, const Content &content = {}) const
    {
        detail::PlainRequest request(method, path, content);
        auto sent = std::make_unique<detail::Sent>();
        sent->target = target_;
        auto future = sent->promise.get_future();
        amb_call *call = nullptr;
        check(amb_http_spawn(get(), &request.raw, detail::Sent::done, sent.get(), detail::Sent::destroy, &call));
        request.taken();
        (void)sent.release(); // `destroy` has it now.
        return {std::move(future), CallHandle(call)};
    }

    /**
     * These are the endpoints of the target from now on, for all proxies of its name. None is obeyed as well: calls are refused then,
     * until there are others.
     * @throws ConfigError when one of them is wrong
     */
    void set_endpoints(const std::vector<Endpoint> &endpoints) const
    {
        const detail::PlainEndpoints plain(endpoints);
        const amb_status status = amb_proxy_set_endpoints(get(), plain.list.data(), plain.list.size());
        if (status == AMB_ERR_CONFIG)
            detail::fail(AMB_ERR_CONFIG, target_);
        check(status);
    }

    /** The health of the target as JSON. */
    std::string health() const { return told(amb_proxy_health(get())); }

    /** Every setting in force and where its value comes from, as JSON, byte for byte the same in every language. */
    std::string policy_json() const { return told(amb_proxy_policy_json(get())); }

    /** The same, spelled as C does: `timeout_ms` is a number of milliseconds. */
    std::string effective_policy() const { return told(amb_proxy_effective_policy(get())); }

    /** The settings in force, defaults filled in: the proxy's own, and of what it shares with others of its name, those of the
     *  newest. */
    Options policy() const
    {
        amb_options raw;
        check(amb_proxy_policy(get(), &raw));
        Options options = detail::dressed(raw);
        options.classify = classify_;
        return options;
    }

    /** Opens the circuit of the target by hand: every attempt is refused until reset(). Does nothing where the breaker is off. */
    void isolate() const { check(amb_proxy_isolate(get())); }

    /** Closes the circuit of the target by hand, whatever it has seen. */
    void reset() const { check(amb_proxy_reset(get())); }

    /**
     * Tells the listener of every event of the target from now on, through whatever proxy of the same name: JSON text, valid
     * until it returns. It may be called on any thread; what it throws is dropped. Listeners stay until the process ends.
     */
    void on_event(std::function<void(std::string_view)> listener) const
    {
        using Listener = std::function<void(std::string_view)>;
        const auto hear = [](const char *event, void *data) noexcept {
            try {
                (*static_cast<Listener *>(data))(event);
            } catch (...) { // F5
            }
        };
        auto kept = std::make_unique<Listener>(std::move(listener));
        check(amb_proxy_on_event(get(), hear, kept.get()));
        kept.release(); // The library has it now.
    }

    /** The C handle, still owned by this. */
    amb_proxy *get() const noexcept { return proxy_.get(); }

    /** Exchanges two proxies. */
    void swap(AmbassadorProxy &other) noexcept
    {
        proxy_.swap(other.proxy_);
        answered_.swap(other.answered_);
        std::swap(hedged_, other.hedged_);
        target_.swap(other.target_);
        classify_.swap(other.classify_);
    }

private:
    template <class A>
    friend class WithFallback;
    using Handle = std::unique_ptr<amb_proxy, detail::Free>;

    /** A text of the library's, which is freed. */
    std::string told(char *given) const { return detail::owned(given, AMB_ERR_ARGUMENT, target_); }

    Handle made(const amb_options &options) const
    {
        amb_proxy *proxy = nullptr;
        const amb_status status = amb_proxy_new(target_.c_str(), &options, &proxy);
        if (status == AMB_OK)
            return Handle(proxy);
        detail::fail(status, target_);
    }

    template <class A>
    Response send(amb_proxy *proxy, const A &fallback, const std::string &method, const std::string &path,
                  const Content &content) const
    {
        detail::PlainRequest request(method, path, content);
        detail::Asked<A> asked(fallback, target_);
        request.raw.user_data = static_cast<detail::Answering *>(&asked);
        amb_response *response = nullptr;
        amb_result result;
        const std::int32_t status = amb_http_send(proxy, &request.raw, &response, &result);
        if (status != AMB_ERR_ARGUMENT)
            request.taken();
        if (asked.failed)
            std::rethrow_exception(std::move(asked.failed));
        if (status != AMB_OK)
            detail::raise(result, target_, {});
        return response == nullptr ? asked.place.take() : Response(response);
    }

    template <class A, class F, class... Args>
    std::invoke_result_t<F &, Args &...> apply(amb_proxy *proxy, const A &fallback, F &&function, Args &&...args) const
    {
        using R = std::invoke_result_t<F &, Args &...>;
        if constexpr ((detail::is_kept<F> && ... && detail::is_kept<Args>))
            if (hedged_)
                return run(proxy, fallback, detail::Bound<F, Args...>{{std::forward<F>(function), std::forward<Args>(args)...}});
        return run(proxy, fallback, [&](const Attempt &) -> R { return std::invoke(function, args...); });
    }

    template <class A, class F>
    std::invoke_result_t<F &, const Attempt &> run(amb_proxy *proxy, const A &fallback, F &&function) const
    {
        // A call waits for its fallback, so that can be referred to.
        if (hedged_)
            return begin<const A &>(proxy, fallback, detail::kept(std::forward<F>(function))).get();
        using Frame = detail::Frame<std::remove_reference_t<F>, A, std::invoke_result_t<F &, const Attempt &>>;
        Frame frame(function, fallback, classify_, target_);
        amb_result result;
        if (amb_proxy_call(proxy, Frame::run, static_cast<detail::Answering *>(&frame), &result) != AMB_OK) {
            if (frame.failed)
                std::rethrow_exception(std::move(frame.failed));
            detail::raise(result, target_, frame.thrown);
        }
        return frame.place.take();
    }

    template <class A, class F>
    PendingCall<std::invoke_result_t<F &, const Attempt &>> begin(amb_proxy *proxy, A fallback, F function) const
    {
        using Task = detail::Task<F, A, std::invoke_result_t<F &, const Attempt &>>;
        auto task = std::make_unique<Task>(std::move(function), std::forward<A>(fallback), classify_, target_);
        auto future = task->promise.get_future();
        amb_call *call = nullptr;
        detail::Answering *const data = task.get();
        check(amb_proxy_spawn(proxy, Task::run, data, Task::destroy, Task::done, &call));
        task.release(); // `destroy` has it now.
        return {std::move(future), CallHandle(call)};
    }

    void check(amb_status status) const
    {
        if (status != AMB_OK)
            detail::raise({amb_last_error(), status, target_});
    }

    Handle proxy_{};
    Handle answered_{}; // The same, for calls with a fallback.
    bool hedged_ = false;
    std::string target_;
    detail::Classifier classify_;
};

/** A proxy with a fallback, as AmbassadorProxy::fallback() gives it. Not to be used once the proxy is gone, or moved. */
template <class A>
class WithFallback {
public:
    /** As AmbassadorProxy::fallback() makes it. */
    WithFallback(const AmbassadorProxy &proxy, A answer) : proxy_(&proxy), answer_(std::move(answer)) {}

    /** AmbassadorProxy::call(), with the fallback. */
    template <class F, class... Args>
    std::invoke_result_t<F &, Args &...> call(F &&function, Args &&...args) const
    {
        return proxy_->apply(proxy_->answered_.get(), answer_, std::forward<F>(function), std::forward<Args>(args)...);
    }

    /** AmbassadorProxy::execute(), with the fallback. */
    template <class F>
    std::invoke_result_t<F &, const Attempt &> execute(F &&function) const
    {
        return proxy_->run(proxy_->answered_.get(), answer_, std::forward<F>(function));
    }

    /**
     * AmbassadorProxy::spawn(), with a copy of the fallback, which runs on a thread of the ambassador's. A function that was given
     * up may still run then.
     */
    template <class F>
    PendingCall<std::invoke_result_t<F &, const Attempt &>> spawn(F function) const
    {
        return proxy_->template begin<A>(proxy_->answered_.get(), answer_, std::move(function));
    }

    /** AmbassadorProxy::request(), with the fallback, which gives a Response. */
    Response request(const std::string &method, const std::string &path, const Content &content = {}) const
    {
        return proxy_->send(proxy_->answered_.get(), answer_, method, path, content);
    }

private:
    const AmbassadorProxy *proxy_;
    A answer_;
};

/** Sends the lines that the ambassador says, such as those of retries, to this listener; an empty one for silence. It may be
 * called on any thread; what it throws is dropped. Listeners are kept until the process ends: set one, once. */
inline void set_log(std::function<void(std::string_view)> listener)
{
    using Listener = std::function<void(std::string_view)>;
    if (!listener) {
        amb_set_log(nullptr, nullptr);
        return;
    }
    const auto log = [](const char *line, void *data) noexcept {
        try {
            (*static_cast<Listener *>(data))(line);
        } catch (...) { // F5
        }
    };
    amb_set_log(log, new Listener(std::move(listener)));
}

/**
 * From now on that configuration holds over what the program says, for all proxies, in place of the file that
 * `AMBASSADOR_CONFIG` names; amb_configure() tells more.
 *
 * @param path_or_text the path of a file, or its text in YAML or JSON
 * @throws ConfigError when something is wrong with it; what held before then holds on
 */
inline void configure(const std::string &path_or_text)
{
    const amb_status status = amb_configure(path_or_text.c_str());
    if (status != AMB_OK)
        detail::fail(status);
}

/** Refuses new calls and waits for those in flight; whether all ended in time. */
inline bool shutdown(Duration timeout) noexcept { return amb_shutdown(timeout.count()) == AMB_OK; }

} // namespace ambassador

#endif
