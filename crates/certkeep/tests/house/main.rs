//! The house keeps its own rules: layering, file sizes, words.
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "what cannot be read fails the test")]
mod layering;
mod sources;
