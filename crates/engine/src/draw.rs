//! Chance, for spreading what would otherwise happen at once.

/// A number in `[0, 1)`; 0.5 when the system has no randomness to give.
pub(crate) fn draw() -> f64 {
    let mut octets = [0u8; 4];
    match aws_lc_rs::rand::fill(&mut octets) {
        Ok(()) => f64::from(u32::from_le_bytes(octets)) / (f64::from(u32::MAX) + 1.0),
        Err(_) => 0.5,
    }
}
