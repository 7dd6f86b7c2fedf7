//! libFuzzer's way into `targets/header.rs`, where the input's format is described.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mailguard_fuzz::targets::header::run(data));
