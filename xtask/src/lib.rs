//! The checks of the house itself live in `tests/tidy.rs`: who may depend on whom, what pure crates may not touch,
//! how a file begins, how long it may be. They run with every `cargo test`.
