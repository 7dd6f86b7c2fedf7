//! libFuzzer's way into `targets/servers.rs`, where the input's format is described.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mailguard_fuzz::targets::servers::run(data));
