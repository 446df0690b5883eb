//! The configuration's loader, given any text: it says what is wrong with it, or takes it. Whatever it takes, each of its targets that
//! can have a proxy has one, whose policy can be told.

#![no_main]

use ambassador_core::config::{Config, explain};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match Config::read_with(text, "ambassador.yaml", |name| name.starts_with("SET").then(|| format!("the value of {name}"))) {
        Ok(config) => {
            for target in ["payment-api.example.com", "https://payment-api.example.com:8443", "127.0.0.1:5000"] {
                if let Ok(told) = explain(&config, target) {
                    assert!(!told.sentences.is_empty() && !told.policy_json.is_empty(), "{target} has a policy to tell of");
                }
            }
        }
        Err(faults) => assert!(!faults.to_string().is_empty(), "what is refused is refused for a reason"),
    }
});
