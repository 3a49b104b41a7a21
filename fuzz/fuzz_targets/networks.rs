#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| amiwall_fuzz::run("networks", data));
