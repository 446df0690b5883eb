package bench;

import com.sun.management.OperatingSystemMXBean;
import io.ambassador.AmbassadorProxy;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Supplier;
import okhttp3.Call;
import okhttp3.Callback;
import okhttp3.ConnectionPool;
import okhttp3.Dispatcher;
import okhttp3.OkHttpClient;
import okhttp3.Request;
import okhttp3.Response;
import org.apache.hc.client5.http.async.methods.SimpleHttpRequest;
import org.apache.hc.client5.http.async.methods.SimpleHttpResponse;
import org.apache.hc.client5.http.async.methods.SimpleRequestBuilder;
import org.apache.hc.client5.http.classic.methods.HttpGet;
import org.apache.hc.client5.http.impl.async.CloseableHttpAsyncClient;
import org.apache.hc.client5.http.impl.async.HttpAsyncClients;
import org.apache.hc.client5.http.impl.classic.CloseableHttpClient;
import org.apache.hc.client5.http.impl.classic.HttpClients;
import org.apache.hc.client5.http.impl.io.PoolingHttpClientConnectionManagerBuilder;
import org.apache.hc.client5.http.impl.nio.PoolingAsyncClientConnectionManagerBuilder;
import org.apache.hc.core5.concurrent.FutureCallback;
import org.apache.hc.core5.http.io.entity.EntityUtils;

/**
 * Requests for 100 bytes from a server on loopback, by the clients that people use in Java and by ours: requests a second, and what
 * one costs this process in CPU, at 1 and at 64 concurrent. The server is nginx, in a process of its own; the rounds of all rows
 * alternate, and the best one of each counts. Arguments choose the rows whose names have one of them.
 */
public final class Http {
    private static final int ROUNDS = 4;
    private static final long ROUND_NANOS = 1_000_000_000L;
    private static final int MANY = 64;
    private static final int BYTES = 100;
    private static final String PEER = "Apache HttpClient 5, async";

    private record Figure(double rate, double cpu) {}

    /** Makes one request. */
    private interface Get {
        String get() throws Exception;
    }

    private Http() {}

    public static void main(String[] words) throws Exception {
        Path folder = Files.createTempDirectory("ambassador-bench");
        int port;
        try (var probe = new ServerSocket(0)) {
            port = probe.getLocalPort();
        }
        Process nginx = serve(folder, port);
        try {
            measure("http://127.0.0.1:" + port, List.of(words));
        } finally {
            nginx.destroy();
            nginx.waitFor();
            try (var files = Files.walk(folder)) {
                files.sorted((one, other) -> other.compareTo(one)).forEach(file -> file.toFile().delete());
            }
        }
        System.exit(0);
    }

    private static void measure(String url, List<String> words) throws Exception {
        var rows = new LinkedHashMap<String, Object>();
        rows(url + "/", rows);
        rows.keySet().removeIf(name -> !words.isEmpty()
                && words.stream().noneMatch(word -> name.toLowerCase(Locale.ROOT).contains(word.toLowerCase(Locale.ROOT))));
        var best = new LinkedHashMap<String, Figure>();
        for (int round = 0; round < ROUNDS; round++) {
            for (Map.Entry<String, Object> row : rows.entrySet()) {
                for (int concurrent : new int[] {1, MANY}) {
                    Figure figure = figure(row.getValue(), concurrent);
                    best.merge(row.getKey() + concurrent, figure, (one, other) -> one.rate() > other.rate() ? one : other);
                }
            }
        }
        double peer = best.containsKey(PEER + MANY) ? best.get(PEER + MANY).rate() : Double.NaN;
        System.out.println("| Java: a request for 100 bytes | 1 at a time: requests/s | CPU µs | 64 at a time: requests/s | CPU µs | "
                + PEER + " = 1 |");
        System.out.println("| --- | ---: | ---: | ---: | ---: | ---: |");
        for (String name : rows.keySet()) {
            Figure one = best.get(name + 1);
            Figure many = best.get(name + MANY);
            System.out.printf(
                    Locale.ROOT, "| %s | %.0f | %.1f | %.0f | %.1f | %.2f |%n",
                    name, one.rate(), one.cpu(), many.rate(), many.cpu(), many.rate() / peer);
        }
    }

    private static void rows(String url, Map<String, Object> rows) {
        var request = HttpRequest.newBuilder(URI.create(url)).build();
        HttpClient java = HttpClient.newHttpClient();
        rows.put("`java.net.http`, `send`", (Get) () -> java.send(request, BodyHandlers.ofString()).body());
        rows.put("`java.net.http`, `sendAsync`", async(() ->
                java.sendAsync(request, BodyHandlers.ofString()).thenApply(response -> response.body())));

        CloseableHttpClient classic = HttpClients.custom()
                .setConnectionManager(PoolingHttpClientConnectionManagerBuilder.create().setMaxConnPerRoute(MANY).setMaxConnTotal(MANY).build())
                .build();
        rows.put("Apache HttpClient 5", (Get) () ->
                classic.execute(new HttpGet(url), response -> EntityUtils.toString(response.getEntity())));
        CloseableHttpAsyncClient apache = HttpAsyncClients.custom()
                .setConnectionManager(PoolingAsyncClientConnectionManagerBuilder.create().setMaxConnPerRoute(MANY).setMaxConnTotal(MANY).build())
                .build();
        apache.start();
        SimpleHttpRequest get = SimpleRequestBuilder.get(url).build();
        rows.put(PEER, async(() -> {
            var result = new CompletableFuture<String>();
            apache.execute(get, new FutureCallback<SimpleHttpResponse>() {
                @Override
                public void completed(SimpleHttpResponse response) {
                    result.complete(response.getBodyText());
                }

                @Override
                public void failed(Exception error) {
                    result.completeExceptionally(error);
                }

                @Override
                public void cancelled() {
                    result.cancel(true);
                }
            });
            return result;
        }));

        var dispatcher = new Dispatcher();
        dispatcher.setMaxRequests(MANY);
        dispatcher.setMaxRequestsPerHost(MANY);
        OkHttpClient ok = new OkHttpClient.Builder()
                .dispatcher(dispatcher)
                .connectionPool(new ConnectionPool(MANY, 5, TimeUnit.MINUTES))
                .build();
        Request asked = new Request.Builder().url(url).build();
        rows.put("OkHttp, `execute`", (Get) () -> {
            try (Response response = ok.newCall(asked).execute()) {
                return response.body().string();
            }
        });
        rows.put("OkHttp, `enqueue`", async(() -> {
            var result = new CompletableFuture<String>();
            ok.newCall(asked).enqueue(new Callback() {
                @Override
                public void onFailure(Call call, IOException error) {
                    result.completeExceptionally(error);
                }

                @Override
                public void onResponse(Call call, Response response) throws IOException {
                    try (response) {
                        result.complete(response.body().string());
                    }
                }
            });
            return result;
        }));

        var ours = AmbassadorProxy.builder(url.substring(0, url.length() - 1)).build();
        var own = ours.request("/").build();
        rows.put("**Ambassador**, `send`", (Get) () -> ours.send(own, BodyHandlers.ofString()).body());
        rows.put("**Ambassador**, `sendAsync`", async(() ->
                ours.sendAsync(own, BodyHandlers.ofString()).thenApply(response -> response.body())));
    }

    private static Supplier<CompletableFuture<String>> async(Supplier<CompletableFuture<String>> get) {
        return get;
    }

    @SuppressWarnings("unchecked")
    private static Figure figure(Object get, int concurrent) throws Exception {
        var made = new AtomicLong();
        long begun = System.nanoTime();
        long used = cpu();
        if (get instanceof Get blocking) {
            byThreads(blocking, concurrent, begun + ROUND_NANOS, made);
        } else {
            byStages((Supplier<CompletableFuture<String>>) get, concurrent, begun + ROUND_NANOS, made);
        }
        double seconds = (System.nanoTime() - begun) / 1e9;
        return new Figure(made.get() / seconds, (cpu() - used) / 1e3 / made.get());
    }

    private static void byThreads(Get get, int concurrent, long until, AtomicLong made) throws Exception {
        var threads = new ArrayList<Thread>();
        for (int at = 0; at < concurrent; at++) {
            var thread = new Thread(() -> {
                while (System.nanoTime() < until) {
                    try {
                        check(get.get());
                    } catch (Exception failed) {
                        failed.printStackTrace();
                        Runtime.getRuntime().halt(1);
                    }
                    made.incrementAndGet();
                }
            });
            thread.start();
            threads.add(thread);
        }
        for (Thread thread : threads) {
            thread.join();
        }
    }

    private static void byStages(Supplier<CompletableFuture<String>> get, int concurrent, long until, AtomicLong made)
            throws InterruptedException {
        var left = new CountDownLatch(concurrent);
        for (int at = 0; at < concurrent; at++) {
            next(get, until, made, left);
        }
        left.await();
    }

    private static void next(Supplier<CompletableFuture<String>> get, long until, AtomicLong made, CountDownLatch left) {
        get.get().whenComplete((body, error) -> {
            if (error != null) {
                error.printStackTrace();
                Runtime.getRuntime().halt(1);
            }
            check(body);
            made.incrementAndGet();
            if (System.nanoTime() < until) {
                next(get, until, made, left);
            } else {
                left.countDown();
            }
        });
    }

    private static void check(String body) {
        if (body.length() != BYTES) {
            throw new IllegalStateException(body.length() + " bytes came");
        }
    }

    private static long cpu() {
        return ((OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean()).getProcessCpuTime();
    }

    private static Process serve(Path folder, int port) throws Exception {
        Path settings = folder.resolve("nginx.conf");
        String temporary = "client_body_temp_path F; proxy_temp_path F; fastcgi_temp_path F; uwsgi_temp_path F; scgi_temp_path F;"
                .replace("F;", folder + ";");
        Files.writeString(settings, """
                daemon off; worker_processes 1; pid %1$s/pid; error_log %1$s/error.log crit;
                events { worker_connections 1024; }
                http {
                  access_log off; keepalive_requests 1000000000; keepalive_timeout 3600s; %2$s
                  server { listen 127.0.0.1:%3$d backlog=1024; location / { default_type text/plain; return 200 "%4$s"; } }
                }
                """.formatted(folder, temporary, port, "x".repeat(BYTES)));
        Process nginx = new ProcessBuilder("nginx", "-c", settings.toString(), "-p", folder.toString())
                .redirectErrorStream(true)
                .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                .start();
        for (;;) {
            if (!nginx.isAlive()) {
                throw new IllegalStateException("nginx does not run");
            }
            try (var socket = new Socket("127.0.0.1", port)) {
                return nginx;
            } catch (IOException notYet) {
                Thread.sleep(10);
            }
        }
    }
}
