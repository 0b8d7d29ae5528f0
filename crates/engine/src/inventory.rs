//! Reading, adding, changing and deleting certificates (contract §4).
mod commands;
mod reading;
mod writing;

pub(crate) use commands::application;
pub use commands::{ApplicationInput, Create, Created, Update};
pub use reading::Entry;
pub(crate) use reading::Remembered;
pub use writing::{MAX_UPLOAD, UPLOAD_LIFE};
