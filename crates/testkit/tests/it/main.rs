//! The peers are what they say: each starts, answers, takes changes, and is gone with its handle.
#![expect(clippy::expect_used, reason = "what goes wrong here fails the test at once")]
mod authorities;
mod clock;
mod pebble;
mod router;
mod wait;

use std::net::SocketAddr;
use std::path::Path;

use certkeep_testkit::peers::{RecordType, Transport, ask};

/// How many SOA records `server` answers with for `zone`, by UDP and by TCP.
async fn soa_records(server: SocketAddr, zone: &str) -> [usize; 2] {
    let mut found = [0; 2];
    for (count, transport) in found.iter_mut().zip([Transport::Udp, Transport::Tcp]) {
        let answer = ask(server, zone, RecordType::SOA, transport).await.expect("the server answers");
        *count = answer.answers.iter().filter(|record| record.record_type() == RecordType::SOA).count();
    }
    found
}

/// Whether the machine still knows a process by this id, be it only as a zombie.
fn process_exists(pid: u32) -> bool {
    Path::new("/proc").join(pid.to_string()).exists()
}
