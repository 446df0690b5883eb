// The seed's program: a payment service without networking logic, around an API that fails six times in ten. Waits are the
// defaults, up to 2 seconds and then up to 4. It may end with "All retries failed", and that is right.
//
//     java -cp build/java/ambassador-proxy.jar examples/java/Seed.java
import io.ambassador.AmbassadorProxy;

// Java asks for a main, and for something around it. An interface: a class within one is static without a word.
interface Seed {
    // Main app
    class PaymentService {
        private final AmbassadorProxy ambassador;

        PaymentService() {
            this.ambassador = new AmbassadorProxy("payment-api.example.com", 3, 2000);
        }

        String charge(double amount) {
            return ambassador.call(v -> {
                if (Math.random() < 0.6) throw new RuntimeException("Payment API unreachable");
                return "charged: " + amount;
            });
        }
    }

    // Usage
    static void main(String[] args) {
        PaymentService service = new PaymentService();
        try {
            System.out.println(service.charge(99.99));
        } catch (Exception e) {
            System.out.println("All retries failed: " + e.getMessage());
        }
    }
}
