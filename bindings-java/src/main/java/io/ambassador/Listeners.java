package io.ambassador;

import java.lang.ref.WeakReference;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Consumer;

/** Who listens to the events of one name. All proxies of the name hold it, and nobody else does: listeners go with the last proxy. */
final class Listeners {
    /** How many lines the native makes of an event; see {@code told.rs}. */
    private static final int LINES = 5;

    private static final Map<String, WeakReference<Listeners>> BY_NAME = new HashMap<>();

    private final String name;
    private final List<Consumer<? super Event>> listeners = new CopyOnWriteArrayList<>();

    private Listeners(String name) {
        this.name = name;
    }

    static Listeners of(String name) {
        synchronized (BY_NAME) {
            WeakReference<Listeners> known = BY_NAME.get(name);
            Listeners present = known == null ? null : known.get();
            if (present == null) {
                BY_NAME.values().removeIf(gone -> gone.get() == null);
                present = new Listeners(name);
                BY_NAME.put(name, new WeakReference<>(present));
            }
            return present;
        }
    }

    synchronized void add(AmbassadorProxy proxy, Consumer<? super Event> listener) {
        if (listeners.isEmpty()) {
            Native.keepEvents(proxy.handle);
            // What was kept for listeners that are gone with their proxies.
            Native.events(proxy.handle);
            Aftermath.concerns();
        }
        listeners.add(listener);
    }

    /** Tells what has happened and was told to nobody yet. A listener that throws changes nothing (F5). */
    void tell(AmbassadorProxy proxy) {
        String told = listeners.isEmpty() ? null : Native.events(proxy.handle);
        if (told == null) {
            return;
        }
        String[] lines = told.split("\n", -1);
        for (int at = 0; at + LINES <= lines.length; at += LINES) {
            Event event = event(lines, at);
            for (Consumer<? super Event> listener : listeners) {
                try {
                    listener.accept(event);
                } catch (Throwable broken) {
                    Log.broken(broken);
                }
            }
        }
    }

    private Event event(String[] lines, int at) {
        String first = lines[at + 1];
        String second = lines[at + 2];
        String third = lines[at + 3];
        return switch (lines[at]) {
            case "attempt" -> new Event.Attempt(
                    name, Integer.parseInt(first), second, length(third), textOrNone(lines[at + 4]));
            case "hedge" -> new Event.Hedge(name, Integer.parseInt(first), length(second));
            case "retry" -> new Event.Retry(name, Integer.parseInt(first), length(second));
            case "call" -> new Event.Call(name, Integer.parseInt(first), second, third, length(lines[at + 4]));
            case "circuit" -> new Event.Circuit(
                    name, first, second, third.isEmpty() ? Optional.empty() : Optional.of(length(third)));
            case "endpoint" -> new Event.Endpoint(name, first, second, textOrNone(third).map(Listeners::length));
            case "endpoints" -> new Event.Endpoints(name, words(first), words(second), textOrNone(third));
            case "settings" -> new Event.Settings(name, first, second);
            case "credentials" -> new Event.Credentials(name, first, textOrNone(second));
            default -> new Event.Internal(name, first);
        };
    }

    private static Optional<String> textOrNone(String text) {
        return text.isEmpty() ? Optional.empty() : Optional.of(text);
    }

    private static List<String> words(String line) {
        return line.isEmpty() ? List.of() : List.of(line.split(" "));
    }

    private static Duration length(String nanos) {
        return Duration.ofNanos(Long.parseLong(nanos));
    }
}
