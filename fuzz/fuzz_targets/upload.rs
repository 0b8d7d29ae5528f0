//! Any octets as an uploaded file.
#![no_main]

#[path = "../../crates/core/tests/it/upload.rs"]
mod upload;

libfuzzer_sys::fuzz_target!(|content: &[u8]| upload::upload(content));
