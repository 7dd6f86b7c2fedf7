//! libFuzzer's way into `targets/options.rs`, where the input's format is described.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mailguard_fuzz::targets::options::run(data));
