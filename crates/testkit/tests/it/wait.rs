use std::future::{pending, ready};
use std::time::Duration;

use certkeep_testkit::wait::{eventually, within};

#[tokio::test]
async fn the_first_value_ends_the_wait() {
    let mut looks = 0;
    let seen = eventually(Duration::from_secs(5), "the third look", || {
        looks += 1;
        ready((looks == 3).then_some(looks))
    })
    .await;
    assert_eq!(seen, 3);
}

#[tokio::test]
async fn a_probe_that_hangs_does_not_outlive_the_deadline() {
    let outcome: Option<()> = within(Duration::from_millis(30), async || pending().await).await;
    assert_eq!(outcome, None);
}

#[tokio::test]
#[should_panic(expected = "waited 30ms in vain for pigs with wings")]
async fn a_wait_in_vain_says_for_what() {
    let () = eventually(Duration::from_millis(30), "pigs with wings", async || None).await;
}
