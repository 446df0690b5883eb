package io.ambassador;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;

/** Servers on loopback: one of HTTP, and one that writes what a script says, right or wrong. */
final class Servers {
    interface Handler {
        void handle(HttpExchange exchange) throws Exception;
    }

    interface Script {
        /** One connection; {@code number} counts from 1. */
        void run(int number, Socket socket) throws Exception;
    }

    private Servers() {}

    /** Answers requests by the handler. */
    static final class Web implements AutoCloseable {
        private final HttpServer server;
        private final ExecutorService threads = Executors.newCachedThreadPool(Servers::daemon);
        final AtomicInteger requests = new AtomicInteger();

        Web(Handler handler) throws IOException {
            server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
            server.setExecutor(threads);
            server.createContext("/", exchange -> {
                requests.incrementAndGet();
                try (exchange) {
                    handler.handle(exchange);
                } catch (Exception gone) {
                    // The client has left.
                }
            });
            server.start();
        }

        String url() {
            return "http://127.0.0.1:" + server.getAddress().getPort();
        }

        @Override
        public void close() {
            server.stop(0);
            threads.shutdownNow();
        }
    }

    static void answer(HttpExchange exchange, int status, String body) throws IOException {
        byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
        exchange.sendResponseHeaders(status, bytes.length == 0 ? -1 : bytes.length);
        exchange.getResponseBody().write(bytes);
    }

    /** Plays a script on each connection, and then closes it. */
    static final class Raw implements AutoCloseable {
        private final ServerSocket server = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
        final AtomicInteger connections = new AtomicInteger();

        Raw(Script script) throws IOException {
            daemon(() -> {
                while (!server.isClosed()) {
                    try {
                        Socket socket = server.accept();
                        daemon(() -> {
                            try (socket) {
                                script.run(connections.incrementAndGet(), socket);
                            } catch (Exception gone) {
                                // The client has left.
                            }
                        }).start();
                    } catch (IOException closed) {
                        return;
                    }
                }
            }).start();
        }

        String url() {
            return "http://127.0.0.1:" + server.getLocalPort();
        }

        @Override
        public void close() throws IOException {
            server.close();
        }
    }

    /** Reads a request's head. */
    static String head(Socket socket) throws IOException {
        InputStream in = new BufferedInputStream(socket.getInputStream(), 1);
        var head = new StringBuilder();
        while (!head.toString().endsWith("\r\n\r\n")) {
            int letter = in.read();
            if (letter < 0) {
                throw new IOException("the client has left");
            }
            head.append((char) letter);
        }
        return head.toString();
    }

    static void write(Socket socket, String text) throws IOException {
        socket.getOutputStream().write(text.getBytes(StandardCharsets.ISO_8859_1));
        socket.getOutputStream().flush();
    }

    /** A port that refuses connections. */
    static String refusing() throws IOException {
        try (var socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            return "http://127.0.0.1:" + socket.getLocalPort();
        }
    }

    /** Never comes to an end, but by an interrupt. */
    static void hang() throws InterruptedException {
        new CountDownLatch(1).await();
    }

    private static Thread daemon(Runnable work) {
        var thread = new Thread(work);
        thread.setDaemon(true);
        return thread;
    }
}
