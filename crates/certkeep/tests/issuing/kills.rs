//! Killed at any instant, an application goes on after the restart: one certificate, no record left.
use certkeep_sandbox::Options;
use certkeep_testkit::wait::{PATIENCE, within};

use super::halting::Halt;
use super::house::House;

/// More places than an application has; the test ends at the first one that is never reached.
const MORE_THAN_ENOUGH: usize = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_before_or_after_any_outward_act_an_application_goes_on() {
    let mut places = 0;
    for at in 0..MORE_THAN_ENOUGH {
        let house = House::new(Options::default()).await;
        let halt = Halt::at(at);
        let first = house.start_with(|ports| halt.wrap(ports), house.settings()).await;
        let id = first.apply("*.example.com,example.com", house.input()).await;
        let halted = tokio::select! {
            () = halt.reached() => true,
            _ = first.issued(id) => false,
        };
        first.kill().await;
        if !halted {
            places = at;
            break;
        }
        let orders_before = house.sandbox.orders();
        let second = house.start().await;
        second.issued(id).await;
        assert_eq!(house.sandbox.issued(), 1, "killed at {at}: one certificate");
        // Only an order whose URL was never learnt cannot be gone on with.
        assert!(house.sandbox.orders() <= orders_before.max(1) + usize::from(orders_before == 1 && at == 3), "killed at {at}");
        let left = within(PATIENCE, || async { house.sandbox.txt_records().is_empty().then_some(()) }).await;
        assert_eq!(left, Some(()), "killed at {at}: {:?}", house.sandbox.txt_records());
        second.stop().await;
    }
    // register, new_order, order, add twice, await_visible, validate, issue, remove twice: each before and after.
    assert_eq!(places, 20);
}
