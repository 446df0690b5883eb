/**
 * @file ambassador_telemetry.hpp
 * What is seen of the whole process; ambassador.hpp includes it.
 */
#ifndef AMBASSADOR_TELEMETRY_HPP
#define AMBASSADOR_TELEMETRY_HPP

#include "ambassador.h"
#include "ambassador_errors.hpp"
#include "ambassador_options.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace ambassador {

/** How an admin server is to be, beyond its address. */
struct AdminOptions {
    std::optional<std::string> token{}; ///< what who wants to do something, or asks from elsewhere, has to show; one is made without
    std::vector<std::string> hosts{};   ///< names by which it is reached, besides `localhost` and addresses in numbers
    bool remote = false;                ///< whether others than this machine may be served, which needs a token
};

/** An admin server, as serve_admin() begins it. Movable; it ends when this does. */
class Admin {
public:
    /** Where it answers: `127.0.0.1:9901`. */
    std::string address() const { return amb_admin_address(admin_.get()); }
    /** The address of the page: `http://127.0.0.1:9901/`. */
    std::string url() const { return "http://" + address() + "/"; }
    /** What has to be shown to do something there: `authorization: Bearer …`. */
    std::string token() const { return amb_admin_token(admin_.get()); }
    /** Ends it, with all its connections; the address is free then. Said again, it does nothing. */
    void stop() noexcept { admin_.reset(); }
    /** Serves on until the process ends, whatever becomes of this. */
    void detach() && noexcept { static_cast<void>(admin_.release()); }

private:
    friend Admin serve_admin(const std::string &, const AdminOptions &);

    struct Stop {
        void operator()(amb_admin *admin) const noexcept { amb_admin_stop(admin); }
    };

    explicit Admin(amb_admin *admin) : admin_(admin) {}

    std::unique_ptr<amb_admin, Stop> admin_;
};

/** Everything that is known at present of every target of this process, and of the process itself, as JSON. */
inline std::string snapshot()
{
    return detail::owned(amb_snapshot(), AMB_ERR_INTERNAL);
}

/**
 * The same as metrics. For programs that have a route of their own for them; serve_admin() has one.
 *
 * @param format `prometheus`, for its text format 0.0.4, or `openmetrics`, for OpenMetrics 1.0
 * @throws ConfigError when it is neither
 */
inline std::string metrics(const std::string &format = "prometheus")
{
    return detail::owned(amb_metrics(format.c_str()), AMB_ERR_CONFIG);
}

/**
 * Answers at that address from now on: the page at `/`, `/metrics`, `/healthz`, `/readyz`, and JSON under `/v1`. It answers also while
 * every thread of the program's is stuck.
 *
 * @param address an address and a port, such as `127.0.0.1:9901`; port 0 takes a free one
 * @param options what else is to be said of it
 * @throws ConfigError when the address is none, is taken, or is not for this machine alone without `remote`
 */
inline Admin serve_admin(const std::string &address, const AdminOptions &options = {})
{
    amb_admin_options given;
    amb_admin_options_init(&given);
    std::vector<const char *> hosts;
    for (const std::string &host : options.hosts)
        hosts.push_back(host.c_str());
    given.token = options.token ? options.token->c_str() : nullptr;
    given.hosts = hosts.data();
    given.host_count = hosts.size();
    given.remote = options.remote;
    amb_admin *admin = nullptr;
    const amb_status status = amb_serve_admin(address.c_str(), &given, &admin);
    if (status != AMB_OK)
        detail::fail(status);
    return Admin(admin);
}

} // namespace ambassador

#endif
