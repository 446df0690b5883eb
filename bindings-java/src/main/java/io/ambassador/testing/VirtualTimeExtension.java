package io.ambassador.testing;

import org.junit.jupiter.api.extension.AfterEachCallback;
import org.junit.jupiter.api.extension.BeforeEachCallback;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.ExtensionContext.Namespace;
import org.junit.jupiter.api.extension.ParameterContext;
import org.junit.jupiter.api.extension.ParameterResolver;

/**
 * For JUnit 5, which the program that uses it brings along: virtual time around each test, and a test that has a parameter of type
 * {@link VirtualTime} is given it.
 *
 * <pre>{@code
 * @ExtendWith(VirtualTimeExtension.class)
 * class PaymentsTest {
 *     @Test
 *     void a_payment_is_tried_three_times(VirtualTime time) {
 *         …
 *     }
 * }
 * }</pre>
 */
public final class VirtualTimeExtension implements BeforeEachCallback, AfterEachCallback, ParameterResolver {
    private static final Namespace NAMESPACE = Namespace.create(VirtualTimeExtension.class);

    /** For JUnit. */
    public VirtualTimeExtension() {}

    @Override
    public void beforeEach(ExtensionContext context) {
        context.getStore(NAMESPACE).put(VirtualTime.class, VirtualTime.start());
    }

    @Override
    public void afterEach(ExtensionContext context) {
        time(context).close();
    }

    @Override
    public boolean supportsParameter(ParameterContext parameter, ExtensionContext context) {
        return parameter.getParameter().getType() == VirtualTime.class;
    }

    @Override
    public VirtualTime resolveParameter(ParameterContext parameter, ExtensionContext context) {
        return time(context);
    }

    private static VirtualTime time(ExtensionContext context) {
        return context.getStore(NAMESPACE).get(VirtualTime.class, VirtualTime.class);
    }
}
