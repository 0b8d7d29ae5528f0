//! The contract, sentence by sentence, through the real router and over real HTTPS.
//!
//! Each test of a paragraph (`s1` to `s5`, and `bad_input`) runs twice, see [`contract`]: by handing requests to the
//! router, and over HTTPS with connection reuse and gzip. Everything else is real but the outside world: the CA, the DNS
//! provider and the resolver are fakes that do as they are told, and the clock stands still until a test moves it.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "this crate is test code: what goes wrong here fails the test at once"
)]
mod audit;
mod bad_input;
mod call;
mod fakes;
mod house;
mod listener;
mod log;
mod material;
mod people;
mod s1_requests;
mod s2_answers;
mod s3_tokens;
mod s4_reading;
mod s4_refusals;
mod s4_writing;
mod s5_neighbours;
mod ui;

/// Defines tests that get a [`house::House`] and run once for each way into it.
macro_rules! contract {
    ($($(#[doc = $doc:literal])* async fn $name:ident($house:ident: &House) $body:block)*) => {$(
        $(#[doc = $doc])*
        mod $name {
            use super::*;

            async fn sentence($house: &House) $body

            #[tokio::test]
            async fn directly() {
                sentence(&House::directly().await).await;
            }

            #[tokio::test]
            async fn over_https() {
                sentence(&House::over_https().await).await;
            }
        }
    )*};
}
pub(crate) use contract;
