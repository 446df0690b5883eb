package io.ambassador;

import java.net.http.HttpClient.Version;
import java.net.http.HttpHeaders;
import java.net.http.HttpResponse.ResponseInfo;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** The head of a response, read from a message when somebody looks at it, and where its body is. */
final class Head implements ResponseInfo {
    private static final int FIXED = 20;

    private final byte[] message;
    private HttpHeaders headers;

    Head(byte[] message) {
        this.message = message;
    }

    /** The handle of the body of a response that is a stream; 0 for one that is whole. */
    static long incoming(byte[] message) {
        return ByteBuffer.wrap(message).getLong(8);
    }

    /** Where the body begins that is whole. */
    int bodyAt() {
        return FIXED + ByteBuffer.wrap(message).getInt(4);
    }

    /** How many attempts there were. */
    int attempts() {
        return ByteBuffer.wrap(message).getInt(16);
    }

    /** The endpoint that it came from. */
    String endpoint() {
        String text = text();
        return text.substring(0, text.indexOf('\n'));
    }

    byte[] message() {
        return message;
    }

    @Override
    public int statusCode() {
        return ByteBuffer.wrap(message).getShort(2);
    }

    @Override
    public Version version() {
        return message[1] == 2 ? Version.HTTP_2 : Version.HTTP_1_1;
    }

    @Override
    public synchronized HttpHeaders headers() {
        if (headers == null) {
            Map<String, List<String>> map = new LinkedHashMap<>();
            String[] lines = text().split("\n", -1);
            for (int at = 1; at + 1 < lines.length; at += 2) {
                map.computeIfAbsent(lines[at], name -> new ArrayList<>(1)).add(lines[at + 1]);
            }
            headers = HttpHeaders.of(map, (name, value) -> true);
        }
        return headers;
    }

    /** Whether the content type names a charset. */
    boolean hasCharset() {
        return text().toLowerCase(Locale.ROOT).contains("charset");
    }

    private String text() {
        return new String(message, FIXED, bodyAt() - FIXED, StandardCharsets.ISO_8859_1);
    }
}
