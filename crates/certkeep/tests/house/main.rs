//! The house keeps its own rules: layering, file sizes, words.
mod layering;
mod sources;
