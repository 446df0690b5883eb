// ambassador.hpp: requests, responses, streams both ways, fallbacks of requests, and endpoints that the program finds.
#include "ambassador.hpp"
#include "check.h"
#include "server.h"

#include <thread>

#include <sys/socket.h>

CHECK_MAIN

using namespace std::chrono_literals;
using ambassador::AmbassadorProxy;
using ambassador::Content;
using ambassador::Headers;
using ambassador::Options;
using ambassador::Response;

static Options quick()
{
    ambassador::set_log({});
    Options options;
    options.backoff = ambassador::Backoff::none();
    options.breaker.reset();
    options.budget.reset();
    return options;
}

template <class E, class F>
static E thrown_by(F &&function)
{
    try {
        function();
    } catch (const E &error) {
        return error;
    }
    CHECK(!"it throws");
    std::abort();
}

static bool echo(server *, int connection, const request *request)
{
    return send_text(connection, "HTTP/1.1 201 Created\r\nX-Team: %s\r\nset-cookie: a=1\r\nset-cookie: b=2\r\ncontent-length: %zu\r\n\r\n%s",
                     header_of(request, "x-team"), request->body_length, request->body);
}

TEST(a_request_is_a_value_and_so_is_its_response)
{
    server *const there = server_of(echo, nullptr);
    const AmbassadorProxy proxy{there->url, quick()};
    const Response response = proxy.request("POST", "/charges?dry=1", {"{\"amount\": 9}", {{"X-Team", "payments"}}});
    CHECK_INT(response.status(), 201);
    CHECK(response.ok());
    CHECK(response.header("x-team") == "payments" && !response.header("x-other"));
    CHECK(response.body() == "{\"amount\": 9}" && response.text() == "{\"amount\": 9}");
    int cookies = 0;
    for (const auto &[name, value] : response.headers())
        cookies += name == "set-cookie";
    CHECK_INT(cookies, 2);
    CHECK_INT(response.attempts(), 1);
    CHECK(response.endpoint() == there->url);
    CHECK(std::string_view(last_of(there).head).substr(0, 29) == "POST /charges?dry=1 HTTP/1.1\r");
}

TEST(each_method_has_a_function)
{
    server *const there = server_of(echo, nullptr);
    const AmbassadorProxy proxy{there->url, quick()};
    const auto sent = [&](const Response &) { return std::string(last_of(there).head, strcspn(last_of(there).head, " ")); };
    CHECK(sent(proxy.get("/")) == "GET" && sent(proxy.post("/", "x")) == "POST" && sent(proxy.put("/", "x")) == "PUT");
    CHECK(sent(proxy.patch("/", "x")) == "PATCH" && sent(proxy.del("/")) == "DELETE" && sent(proxy.options("/")) == "OPTIONS");
    CHECK(sent(proxy.get("/", Headers{{"x-team", "shop"}})) == "GET");
    CHECK_TEXT(header_of(&there->last, "x-team"), "shop");
}

static bool no_body(server *, int connection, const request *)
{
    return send_text(connection, "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n");
}

TEST(the_response_of_a_head_has_no_body)
{
    const AmbassadorProxy proxy{server_of(no_body, nullptr)->url, quick()};
    for (int at = 0; at < 2; ++at)
        CHECK(proxy.head("/").body().empty());
}

TEST(errors_are_those_of_calls)
{
    Options options = quick();
    options.max_retries = 2;
    const std::string nowhere = nobody();
    const AmbassadorProxy proxy{nowhere, options};
    const auto error = thrown_by<ambassador::ConnectError>([&] { proxy.get("/"); });
    CHECK_INT(error.status(), AMB_ERR_CONNECT);
    CHECK_INT(error.attempts(), 2);
    CHECK(error.target() == nowhere && std::string_view(error.what()).find(nowhere) != std::string_view::npos);
    // Also as one of its bases.
    thrown_by<ambassador::TransportError>([&] { proxy.get("/"); });
    CHECK_INT(thrown_by<ambassador::AmbassadorError>([&] { proxy.get("no path"); }).status(), AMB_ERR_ARGUMENT);
    proxy.isolate();
    AmbassadorProxy guarded{nowhere};
    guarded.isolate();
    thrown_by<ambassador::CircuitOpenError>([&] { guarded.get("/"); });
}

static bool counted(server *, int connection, const request *request)
{
    return respond(connection, "200 OK", std::to_string(request->body_length).c_str());
}

TEST(a_body_may_be_given_piece_by_piece)
{
    const AmbassadorProxy proxy{server_of(counted, nullptr)->url, quick()};
    const std::string piece(200000, 'u');
    Content content;
    content.read = [&, left = 5]() mutable { return left-- > 0 ? std::string_view(piece) : std::string_view(); };
    CHECK(proxy.put("/reports/7", content).body() == "1000000");
    content.read = []() -> std::string_view { throw std::runtime_error("no report"); };
    CHECK_INT(thrown_by<ambassador::BodyError>([&] { proxy.put("/reports/7", content); }).status(), AMB_ERR_BODY);
    // What cannot be sent is not read, and is released.
    thrown_by<ambassador::AmbassadorError>([&] { proxy.put("no path", content); });
}

static bool in_pieces(server *, int connection, const request *)
{
    send_text(connection, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
    for (int piece = 0; piece < 3; ++piece)
        send_text(connection, "6\r\npiece%d\r\n", piece);
    return send_text(connection, "0\r\n\r\n");
}

TEST(a_streamed_body_is_a_range_of_pieces)
{
    const AmbassadorProxy proxy{server_of(in_pieces, nullptr)->url, quick()};
    const Response streamed = proxy.get("/report", Content().streamed());
    CHECK_INT(thrown_by<ambassador::AmbassadorError>([&] { streamed.body(); }).status(), AMB_ERR_ARGUMENT);
    std::string all;
    for (const std::string_view piece : streamed.pieces())
        all += piece;
    CHECK(all == "piece0piece1piece2");
    CHECK(streamed.text().empty());
    CHECK(proxy.get("/report", Content().streamed()).text() == "piece0piece1piece2");
    char buffer[4];
    const Response again = proxy.get("/report", Content().streamed());
    CHECK_INT(again.read(buffer, 4), 4);
    CHECK(std::string_view(buffer, 4) == "piec");
}

TEST(a_request_that_is_not_waited_for_has_a_future)
{
    server *const there = server_of(echo, nullptr);
    const AmbassadorProxy proxy{there->url, quick()};
    std::vector<ambassador::PendingCall<Response>> pending;
    for (int at = 0; at < 20; ++at)
        pending.push_back(proxy.request_async("POST", "/", std::to_string(at)));
    for (int at = 0; at < 20; ++at)
        CHECK(pending[static_cast<std::size_t>(at)].get().body() == std::to_string(at));
    const AmbassadorProxy nowhere{nobody(), quick()};
    auto failing = nowhere.request_async("GET", "/");
    thrown_by<ambassador::ConnectError>([&] { failing.get(); });
    thrown_by<ambassador::AmbassadorError>([&] { proxy.request_async("GET", "no path"); });
}

static bool silent(server *, int connection, const request *)
{
    char byte;
    return recv(connection, &byte, 1, 0) == 1;
}

TEST(a_request_is_cancelled_by_its_future)
{
    server *const there = server_of(silent, nullptr);
    Options options = quick();
    options.timeout = std::nullopt;
    const AmbassadorProxy proxy{there->url, options};
    auto pending = proxy.request_async("GET", "/");
    while (requests_of(there) == 0)
        std::this_thread::yield();
    CHECK(!pending.wait_for(1ms) && pending.cancel());
    thrown_by<ambassador::Cancelled>([&] { pending.get(); });
    CHECK(!pending.cancel());
}

TEST(a_server_that_says_nothing_is_a_timeout)
{
    Options options = quick();
    options.max_retries = 1;
    options.timeout = 50ms;
    const AmbassadorProxy proxy{server_of(silent, nullptr)->url, options};
    CHECK(thrown_by<ambassador::CallTimeoutError>([&] { proxy.get("/"); }).elapsed() >= 50ms);
}

TEST(a_request_has_bounds_of_its_own)
{
    Options options = quick();
    options.max_retries = 2;
    const AmbassadorProxy proxy{server_of(silent, nullptr)->url, options};
    ambassador::Content content;
    content.timeout = 50ms;
    CHECK_INT(thrown_by<ambassador::CallTimeoutError>([&] { proxy.get("/", content); }).attempts(), 2);
    content.timeout = ambassador::Duration(AMB_NONE);
    content.deadline = 50ms;
    CHECK_INT(thrown_by<ambassador::DeadlineExceededError>([&] { proxy.get("/", content); }).attempts(), 1);
    content.deadline = 0ms;
    CHECK_INT(thrown_by<ambassador::AmbassadorError>([&] { proxy.get("/", content); }).status(), AMB_ERR_ARGUMENT);
}

TEST(a_fallback_gives_another_response_or_throws)
{
    server *const there = server_of(echo, nullptr);
    const AmbassadorProxy spare{there->url, quick()}, nowhere{nobody(), quick()};
    const auto from_the_spare = nowhere.fallback([&](const std::exception_ptr &error) {
        thrown_by<ambassador::ConnectError>([&] { std::rethrow_exception(error); });
        return spare.post("/", "later");
    });
    CHECK(from_the_spare.request("GET", "/").body() == "later");
    const auto otherwise = nowhere.fallback([]() -> Response { throw std::runtime_error("not even that"); });
    const auto failed = thrown_by<std::runtime_error>([&] { otherwise.request("GET", "/"); });
    CHECK_TEXT(failed.what(), "not even that");
    const AmbassadorProxy well{there->url, quick()};
    CHECK(well.fallback([]() -> Response { throw 7; }).request("POST", "/", "now").body() == "now");
}

TEST(endpoints_that_the_program_finds_take_the_place_of_others)
{
    server *const one = server_of(echo, nullptr), *const two = server_of(echo, nullptr);
    Options options = quick();
    options.endpoints = {one->url};
    const AmbassadorProxy proxy{"http://payment-api.example.com", options};
    CHECK(proxy.get("/").endpoint() == one->url);
    CHECK_TEXT(header_of(&one->last, "host"), "payment-api.example.com");
    proxy.set_endpoints({{two->url, 3, "a", {{"rack", "7"}}}});
    CHECK(proxy.get("/").endpoint() == two->url);
    const auto error = thrown_by<ambassador::ConfigError>([&] { proxy.set_endpoints({"http://host/path"}); });
    CHECK_TEXT(error.field().c_str(), "endpoints");
    CHECK(proxy.get("/").endpoint() == two->url);
    proxy.set_endpoints({});
    thrown_by<ambassador::NoEndpointError>([&] { proxy.get("/"); });
}
