//! The Rust blocks of the README and of `docs/`, compiled and run as documentation tests, so that what they show is true.
//! The programs are in `bin/`.

/// Makes the Rust blocks of a page into tests of the name `page`.
macro_rules! pages {
    ($($page:ident: $path:literal),* $(,)?) => { $(
        #[cfg(doctest)]
        #[doc = include_str!($path)]
        pub mod $page {}
    )* };
}

pages! {
    readme: "../../../README.md",
    guide: "../../../docs/guide.md",
    tls: "../../../docs/tls.md",
    auth: "../../../docs/auth.md",
    rust: "../../../docs/rust.md",
    semantics: "../../../docs/semantics.md",
    internals: "../../../docs/internals.md",
}
