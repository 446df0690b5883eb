// ambassador_telemetry.hpp: the snapshot, the metrics, the admin server.
#include "ambassador.hpp"
#include "check.h"

CHECK_MAIN

using ambassador::Admin;
using ambassador::AdminOptions;
using ambassador::AmbassadorProxy;
using ambassador::ConfigError;

static bool has(const std::string &text, const std::string &part) { return text.find(part) != std::string::npos; }

template <class F>
static std::string field_that_is_wrong(F function)
{
    try {
        function();
    } catch (const ConfigError &wrong) {
        CHECK(!has(wrong.what(), "short"));
        return wrong.field();
    }
    return "none";
}

TEST(the_snapshot_and_the_metrics_have_each_target_and_the_process)
{
    AmbassadorProxy payments("payment-api.example.com");
    CHECK_INT(payments.call([] { return 1; }), 1);
    CHECK(has(ambassador::snapshot(), "\"language\":\"c\""));
    CHECK(has(ambassador::metrics(), "ambassador_calls_total{target=\"payment-api.example.com\",outcome=\"ok\"} 1\n"));
    CHECK(has(ambassador::metrics("openmetrics"), "# EOF\n"));
    CHECK(field_that_is_wrong([] { ambassador::metrics("json"); }) == "format");
}

TEST(the_admin_server_serves_as_long_as_its_object_is_there)
{
    std::string address;
    {
        AdminOptions options;
        options.token = "a-token-of-enough-length";
        options.hosts = {"shop-admin", "shop"};
        Admin admin = ambassador::serve_admin("127.0.0.1:0", options);
        address = admin.address();
        CHECK(admin.url() == "http://" + address + "/");
        CHECK(admin.token() == "a-token-of-enough-length");
        AmbassadorProxy itself(admin.url());
        CHECK_INT(itself.get("/healthz").status(), 200);
        CHECK(field_that_is_wrong([&] { ambassador::serve_admin(address); }) == "admin");
        admin.stop();
        admin.stop();
    }
    ambassador::serve_admin(address).stop();
}

TEST(what_cannot_be_served_is_refused_at_once)
{
    CHECK(field_that_is_wrong([] { ambassador::serve_admin("0.0.0.0:0"); }) == "admin");
    AdminOptions options;
    options.token = "short";
    CHECK(field_that_is_wrong([&] { ambassador::serve_admin("127.0.0.1:0", options); }) == "admin.token");
}
