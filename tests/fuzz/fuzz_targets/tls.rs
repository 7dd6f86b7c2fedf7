//! libFuzzer's way into `targets/tls.rs`, where the input's format is described.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mailguard_fuzz::targets::tls::run(data));
