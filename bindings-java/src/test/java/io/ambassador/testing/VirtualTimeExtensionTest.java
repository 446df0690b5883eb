package io.ambassador.testing;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.ambassador.AmbassadorProxy;
import io.ambassador.Backoff;
import io.ambassador.Jitter;
import java.io.IOException;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** Virtual time around each test, by JUnit. */
@ExtendWith(VirtualTimeExtension.class)
class VirtualTimeExtensionTest {
    private static final AmbassadorProxy PAYMENTS = AmbassadorProxy.builder("payment-api.example.com")
            .name("extended")
            .backoff(Backoff.exponential(Duration.ofSeconds(2)).jitter(Jitter.NONE))
            .build();

    private static Script<String> charge() {
        return Script.failing(new IOException("Payment API unreachable"), 2).then("charged");
    }

    @Test
    void a_test_is_given_its_time(VirtualTime time) {
        assertEquals("charged", PAYMENTS.execute(charge()));
        assertEquals(List.of(Duration.ofSeconds(2), Duration.ofSeconds(4)), time.waits());
    }

    @Test
    void a_test_without_the_parameter_has_it_too() {
        assertThrows(IllegalStateException.class, VirtualTime::start);
        long begun = System.nanoTime();
        assertEquals("charged", PAYMENTS.execute(charge()));
        assertTrue(System.nanoTime() - begun < 2_000_000_000L);
    }
}
