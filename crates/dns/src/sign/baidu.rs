//! Baidu AI Cloud's `bce-auth-v1`.
//!
//! Source: "Generate authentication string", Baidu AI Cloud reference.
use aws_lc_rs::hmac::HMAC_SHA256;

use super::canonical::{self, extended};
use super::key::{Pair, hmac};
use super::{Moment, Outgoing, Unsigned, hexadecimal, host, percent_encoded};

/// How long a signature is good, in seconds.
const LIFE: u32 = 1800;

/// Signs `Host` and `x-bce-date`.
pub(super) fn sign(pair: &Pair, request: &mut Outgoing, moment: &Moment) -> Result<(), Unsigned> {
    let date = extended(moment.now);
    request.put("x-bce-date", &date)?;
    let prefix = format!("bce-auth-v1/{}/{date}/{LIFE}", pair.id);
    let query = canonical::query(&mut request.url);
    let headers = format!("host:{}\nx-bce-date:{}", percent_encoded(&host(&request.url)), percent_encoded(&date));
    let canonical = [request.method.as_str(), request.url.path(), &query, &headers].join("\n");
    let key = hexadecimal(pair.hmac(HMAC_SHA256, &prefix).as_ref());
    let signature = hexadecimal(hmac(HMAC_SHA256, key, canonical).as_ref());
    request.put("authorization", &format!("{prefix}/host;x-bce-date/{signature}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sign::tests::{moment, pair, request};

    /// The request of the vendor's example, with the two headers that are signed here; the signature is that of the
    /// tests of `bceauth`, a second implementation.
    #[test]
    fn the_published_example() {
        let url = "https://bj.bcebos.com/v1/test/myfolder/readme.txt\
                   ?partNumber=9&uploadId=a44cc9bab11cbd156984767aad637851";
        let mut request = request("PUT", url, "Example");
        let pair = pair(&"a".repeat(32), &"b".repeat(32));
        sign(&pair, &mut request, &moment("2015-04-27T08:23:49Z", "")).unwrap();
        assert_eq!(
            request.headers["authorization"],
            "bce-auth-v1/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/2015-04-27T08:23:49Z/1800/host;x-bce-date/\
             1b8de5a23a56eef657c69f94c621e7acd227d049a4ba577f537d5e5cebf0cf32"
        );
    }
}
