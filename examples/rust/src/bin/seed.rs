//! The seed's program in Rust: a payment service without networking logic, around an API that fails six times in ten.
//! Waits are the defaults: up to 2 seconds, then up to 4. It may end with "All retries failed", and that is right.

use std::fmt;

use ambassador_core::{AmbassadorProxy, CallError, ConfigError};

#[derive(Debug)]
struct Charged {
    #[allow(dead_code, reason = "shown by Debug")]
    amount: f64,
}

#[derive(Debug)]
struct Unreachable;

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Payment API unreachable")
    }
}

// Main app: no networking logic
struct PaymentService {
    ambassador: AmbassadorProxy,
}

impl PaymentService {
    fn new() -> Result<PaymentService, ConfigError> {
        Ok(PaymentService { ambassador: AmbassadorProxy::new("payment-api.example.com")? })
    }

    async fn charge(&self, amount: f64) -> Result<Charged, CallError<Unreachable>> {
        self.ambassador.call(|| self.do_charge(amount)).await
    }

    async fn do_charge(&self, amount: f64) -> Result<Charged, Unreachable> {
        if fastrand::f64() < 0.6 {
            return Err(Unreachable);
        }
        Ok(Charged { amount })
    }
}

// Usage
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), ConfigError> {
    // The retry lines go to stderr.
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let service = PaymentService::new()?;
    match service.charge(99.99).await {
        Ok(result) => println!("{result:?}"),
        Err(error) => println!("All retries failed: {error}"),
    }
    Ok(())
}
