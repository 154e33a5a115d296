//! The binary `ostler`.
#![forbid(unsafe_code)]

fn main() {}
