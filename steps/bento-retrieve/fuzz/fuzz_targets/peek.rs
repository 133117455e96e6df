#![no_main]

#[path = "../../tests/support/harmless.rs"]
#[allow(dead_code, reason = "each target uses one of them")]
mod harmless;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| harmless::peek(bytes));
