//! Gives the shared library its soname: programs link to `libambassador.so.0` and go on working with each release that
//! keeps the ABI.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libambassador.so.0");
    }
}
