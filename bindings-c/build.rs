//! Gives the shared library its soname: programs go on working with each release that keeps the ABI, and with no other. Before
//! 1.0 each minor version may change it, so the soname is `libambassador.so.0.1`, and later `libambassador.so.1`.

use std::env::var;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        let part = |name: &str| var(format!("CARGO_PKG_VERSION_{name}")).expect("cargo tells the version");
        let abi = match part("MAJOR").as_str() {
            "0" => format!("0.{}", part("MINOR")),
            major => major.to_owned(),
        };
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libambassador.so.{abi}");
    }
}
