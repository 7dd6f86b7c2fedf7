//! libFuzzer's way into `targets/envelope.rs`, where the input's format is described.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mailguard_fuzz::targets::envelope::run(data));
