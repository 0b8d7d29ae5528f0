//! The house keeps its own rules: layering, file sizes, words.
#![expect(clippy::expect_used, reason = "what cannot be read fails the test")]
mod layering;
mod sources;
