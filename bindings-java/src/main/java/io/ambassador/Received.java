package io.ambassador;

import java.net.URI;
import java.net.http.HttpClient.Version;
import java.net.http.HttpHeaders;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.Optional;
import javax.net.ssl.SSLSession;

/** A response, as {@code java.net.http} has it. */
record Received<T>(HttpRequest request, Head head, T body) implements HttpResponse<T>, Served {
    @Override
    public int attempts() {
        return head.attempts();
    }

    @Override
    public String endpoint() {
        return head.endpoint();
    }

    @Override
    public int statusCode() {
        return head.statusCode();
    }

    @Override
    public Optional<HttpResponse<T>> previousResponse() {
        return Optional.empty();
    }

    @Override
    public HttpHeaders headers() {
        return head.headers();
    }

    @Override
    public Optional<SSLSession> sslSession() {
        return Optional.empty();
    }

    @Override
    public URI uri() {
        return request.uri();
    }

    @Override
    public Version version() {
        return head.version();
    }

    @Override
    public String toString() {
        return "(" + request.method() + " " + request.uri().getRawPath() + ") " + statusCode();
    }
}
