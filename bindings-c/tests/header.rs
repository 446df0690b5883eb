//! `include/ambassador.h` is made of this crate by cbindgen and checked in. This fails when it drifted; `make generate`
//! writes it anew (`AMBASSADOR_GENERATE=1`).

use std::path::Path;
use std::{env, fs};

#[test]
fn the_header_is_as_the_crate_says() {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let header = crate_folder.join("../include/ambassador.h");
    let config = cbindgen::Config::from_file(crate_folder.join("cbindgen.toml")).expect("cbindgen.toml can be read");
    let mut text = Vec::new();
    cbindgen::Builder::new()
        .with_crate(crate_folder)
        .with_config(config)
        .generate()
        .expect("cbindgen understands the crate")
        .write(&mut text);
    let text = clean(&String::from_utf8(text).expect("a header is text"));
    if env::var_os("AMBASSADOR_GENERATE").is_some() {
        fs::write(&header, &text).expect("include/ can be written");
    }
    let present = fs::read_to_string(&header).unwrap_or_default();
    assert!(present == text, "include/ambassador.h drifted from bindings-c/src; run `make generate`");
}

/// The sections "Safety" are for readers of Rust: in C every pointer has such a contract, and the text says it in C's words.
fn clean(header: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut skipping = false;
    for line in header.lines() {
        if line.trim() == "* # Safety" {
            skipping = true;
            if kept.last().is_some_and(|last| last.trim() == "*") {
                kept.pop();
            }
        }
        skipping &= line.trim() != "*/";
        if !skipping {
            kept.push(line);
        }
    }
    kept.join("\n") + "\n"
}
