/**
 * @file ambassador_http.hpp
 * Requests and their responses, as values of C++; include ambassador.hpp, whose AmbassadorProxy sends them.
 */
#ifndef AMBASSADOR_HTTP_HPP
#define AMBASSADOR_HTTP_HPP

#include "ambassador.h"
#include "ambassador_errors.hpp"
#include "ambassador_options.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ambassador {

/** What a request has besides its method and its path. */
struct Content {
    Headers headers{};   ///< its headers
    std::string body{};  ///< its body
    /**
     * Gives the body piece by piece, in place of `body`: an empty piece is its end. Called on threads of the ambassador's, by one at a
     * time, and may wait; one that throws ends the request with a BodyError. A piece lives until the next is asked for.
     */
    std::function<std::string_view()> read{};
    bool stream = false; ///< whether the response is there as soon as its head is, its body to be read in pieces
    std::optional<bool> idempotent = std::nullopt; ///< whether it may safely be made twice; nullopt: as its method says
    std::optional<Duration> timeout = std::nullopt;  ///< the bound of each attempt, `Duration(AMB_NONE)` for none; nullopt: the proxy's
    std::optional<Duration> deadline = std::nullopt; ///< the bound of the whole request, likewise

    /** No content. */
    Content() = default;
    /** Headers alone. */
    Content(Headers headers) : headers(std::move(headers)) {}
    /** A body, and headers. */
    Content(std::string body, Headers headers = {}) : headers(std::move(headers)), body(std::move(body)) {}
    /** The same. */
    Content(const char *body, Headers headers = {}) : headers(std::move(headers)), body(body) {}

    /** The same, its response to be read in pieces. */
    Content streamed() &&
    {
        stream = true;
        return std::move(*this);
    }
};

namespace detail {

/** Frees a response. */
struct FreeResponse {
    void operator()(amb_response *response) const noexcept { amb_response_free(response); }
};

/** A request's body that a function gives, as the library reads it. */
struct Reader {
    std::function<std::string_view()> read;
    std::string_view rest{};

    static std::int64_t next(void *buffer, std::size_t size, void *data) noexcept
    {
        auto &reader = *static_cast<Reader *>(data);
        try {
            if (reader.rest.empty())
                reader.rest = reader.read();
        } catch (...) {
            return -1;
        }
        const std::size_t count = reader.rest.copy(static_cast<char *>(buffer), size);
        reader.rest.remove_prefix(count);
        return static_cast<std::int64_t>(count);
    }

    static void destroy(void *data) noexcept { delete static_cast<Reader *>(data); }
};

/** A request as C has it. The texts are those that it is made of. */
struct PlainRequest {
    amb_http_request raw{};

    PlainRequest(const std::string &method, const std::string &path, const Content &content)
    {
        amb_http_request_init(&raw);
        raw.method = method.c_str();
        raw.path = path.c_str();
        headers_ = pairs(content.headers);
        raw.headers = headers_.data();
        raw.headers_count = headers_.size();
        raw.body = content.body.data();
        raw.body_length = content.body.size();
        raw.stream = content.stream;
        if (content.idempotent)
            raw.idempotent = *content.idempotent ? AMB_IDEMPOTENT_YES : AMB_IDEMPOTENT_NO;
        // Zero is the library's word for the proxy's own.
        const auto bound = [](const std::optional<Duration> &own) { return !own ? 0 : own->count() == 0 ? -1 : own->count(); };
        raw.timeout_ms = bound(content.timeout);
        raw.deadline_ms = bound(content.deadline);
        if (content.read) {
            reader_ = std::make_unique<Reader>(Reader{content.read});
            raw.read = Reader::next;
            raw.read_data = reader_.get();
            raw.read_destroy = Reader::destroy;
        }
    }
    PlainRequest(const PlainRequest &) = delete;
    PlainRequest &operator=(const PlainRequest &) = delete;

    /** The library has taken it: what its body is read from is the library's now. */
    void taken() noexcept { (void)reader_.release(); }

private:
    std::vector<amb_pair> headers_{};
    std::unique_ptr<Reader> reader_{};
};

} // namespace detail

/** A response. Movable; freed with its last owner, and all that it tells with it. */
class Response {
public:
    /** The response of that handle of C's, now owned by this. */
    explicit Response(amb_response *response) noexcept : response_(response) {}

    /** The status of HTTP, such as 200. */
    int status() const noexcept { return amb_response_status(get()); }
    /** Whether the status is one of 200 to 299. */
    bool ok() const noexcept { return status() / 100 == 2; }
    /** What a header says, its name in any case; of several of the name, the first; nullopt when there is none. */
    std::optional<std::string_view> header(const char *name) const noexcept
    {
        const char *value = amb_response_header(get(), name);
        return value == nullptr ? std::nullopt : std::optional<std::string_view>(value);
    }
    /** All headers, each as often as it came, their names in lower case. */
    Headers headers() const
    {
        Headers all;
        const char *name = nullptr;
        const char *value = nullptr;
        for (std::size_t index = 0; amb_response_header_at(get(), index, &name, &value); ++index)
            all.emplace_back(name, value);
        return all;
    }
    /**
     * The body, valid as long as the response.
     * @throws AmbassadorError when it is a stream
     */
    std::string_view body() const
    {
        std::size_t length = 0;
        const void *body = amb_response_body(get(), &length);
        if (body == nullptr)
            detail::raise({amb_last_error(), AMB_ERR_ARGUMENT, endpoint()});
        return {static_cast<const char *>(body), length};
    }
    /** All of the body that has not been read, also of a stream. */
    std::string text() const;
    /**
     * Reads on in the body, and waits for what has not come yet; how many bytes were written, 0 at its end.
     * @throws TransportError, or another AmbassadorError, when the body broke off
     */
    std::size_t read(char *buffer, std::size_t size) const
    {
        const std::int64_t count = amb_response_read(get(), buffer, size);
        if (count < 0)
            detail::raise({amb_last_error(), static_cast<amb_status>(count), endpoint()});
        return static_cast<std::size_t>(count);
    }

    class Pieces;
    /** The rest of the body, piece by piece as it comes: `for (std::string_view piece : response.pieces())`. */
    Pieces pieces() const;

    /** How many attempts the request took. */
    std::uint32_t attempts() const noexcept { return amb_response_attempts(get()); }
    /** The address of the endpoint that it came from; where there are no endpoints, the target. */
    std::string endpoint() const { return amb_response_endpoint(get()); }
    /** The C handle, still owned by this. */
    amb_response *get() const noexcept { return response_.get(); }

private:
    std::unique_ptr<amb_response, detail::FreeResponse> response_;
};

/** The pieces of a body, read when the loop comes to them. To be used while the response is there, once. */
class Response::Pieces {
public:
    /** Of that response. */
    explicit Pieces(const Response &response) : response_(&response), buffer_(std::make_unique<char[]>(size)) {}

    /** Reads as it goes on. */
    class Iterator {
    public:
        using iterator_category = std::input_iterator_tag; ///< it goes once through
        using value_type = std::string_view;               ///< a piece, valid until the next
        using difference_type = std::ptrdiff_t;            ///< there is no difference
        using pointer = const std::string_view *;          ///< to a piece
        using reference = std::string_view;                ///< a piece

        /** The end. */
        Iterator() = default;
        /** The first piece. */
        explicit Iterator(const Pieces *pieces) : pieces_(pieces) { ++*this; }

        /** The present piece. */
        std::string_view operator*() const noexcept { return piece_; }
        /** Reads the next. */
        Iterator &operator++()
        {
            piece_ = {pieces_->buffer_.get(), pieces_->response_->read(pieces_->buffer_.get(), size)};
            if (piece_.empty())
                pieces_ = nullptr;
            return *this;
        }
        /** The same; the piece before is gone. */
        void operator++(int) { ++*this; }
        /** Whether both are at the end. */
        bool operator==(const Iterator &other) const noexcept { return pieces_ == other.pieces_; }
        /** Whether there is more. */
        bool operator!=(const Iterator &other) const noexcept { return pieces_ != other.pieces_; }

    private:
        const Pieces *pieces_ = nullptr;
        std::string_view piece_{};
    };

    /** Reads the first piece. */
    Iterator begin() const { return Iterator(this); }
    /** After the last. */
    Iterator end() const noexcept { return {}; }

private:
    static constexpr std::size_t size = 65536;
    const Response *response_;
    std::unique_ptr<char[]> buffer_;
};

inline Response::Pieces Response::pieces() const { return Pieces(*this); }

inline std::string Response::text() const
{
    std::string text;
    for (const std::string_view piece : pieces())
        text += piece;
    return text;
}

} // namespace ambassador

#endif
