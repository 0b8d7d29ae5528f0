//! §3: tokens.
use certkeep_core::client::ClientRole;
use http::Method;
use serde_json::json;

use crate::call::{Answer, Call, ELSEWHERE};
use crate::contract;
use crate::house::{ADMIN, House};

const SIX: [&str; 6] =
    ["errcode", "errmsg", "access_token_expire_time", "access_token", "refresh_token_expire_time", "refresh_token"];

async fn refresh(house: &House, token: &str) -> Answer {
    house.send(Call::post("refresh_token", &json!({"refresh_token": token}))).await
}

async fn works(house: &House, token: &str) -> bool {
    let answer = house.send(Call::get("certificate/list").with(token)).await;
    assert!(matches!(answer.errcode(), 0 | 10004), "{}", answer.text);
    answer.errcode() == 0
}

contract! {
    /// "`POST get_token` → `access_token_expire_time` 1800, `access_token`, `refresh_token_expire_time` 86400,
    /// `refresh_token` (in this order; 32 URL-safe alphanumerics each)"
    async fn s3_get_token_answers_two_tokens_in_this_order(house: &House) {
        let answer = house.login(ADMIN).await;
        answer.is_success();
        assert_eq!(answer.members(), SIX);
        assert_eq!(answer.json["access_token_expire_time"], 1800);
        assert_eq!(answer.json["refresh_token_expire_time"], 86400);
        for member in ["access_token", "refresh_token"] {
            let token = answer.text_of(member);
            assert!(token.len() == 32 && token.bytes().all(|b| b.is_ascii_alphanumeric()), "{token}");
        }
        assert_ne!(answer.json["access_token"], answer.json["refresh_token"]);
    }

    /// "Missing fields → 40002 `required` (one client tries `client_id`/`client_secret` first and moves on at 40002)"
    async fn s3_get_token_without_its_fields_is_40002(house: &House) {
        let answer = house.send(Call::post("get_token", &json!({"client_id": ADMIN.0, "client_secret": ADMIN.1}))).await;
        answer.is_parameter_error("username", "required").is_parameter_error("password", "required");
        let answer = house.send(Call::post("get_token", &json!({"username": ADMIN.0}))).await;
        answer.is_parameter_error("password", "required");
        let answer = house.send(Call::post("get_token", &json!({"username": 1, "password": ADMIN.1}))).await;
        answer.is_syntax_error("username");
    }

    /// §2, row -1: "wrong credentials: `invalid_param_list:[{"field":"username or password","value":"error"}]`"
    async fn s3_wrong_credentials_are_minus_1(house: &House) {
        for credentials in [(ADMIN.0, "wrong"), ("nobody", ADMIN.1)] {
            let answer = house.login(credentials).await;
            answer.is(-1, "FAILURE");
            assert_eq!(answer.json["invalid_param_list"], json!([{"field": "username or password", "value": "error"}]));
        }
    }

    /// "`POST refresh_token` → the same six fields, both tokens new"
    async fn s3_refresh_token_answers_the_same_fields_with_new_tokens(house: &House) {
        let first = house.login(ADMIN).await;
        let second = refresh(house, &first.text_of("refresh_token")).await;
        second.is_success();
        assert_eq!(second.members(), SIX);
        assert_ne!(first.json["access_token"], second.json["access_token"]);
        assert_ne!(first.json["refresh_token"], second.json["refresh_token"]);
        assert!(works(house, &second.text_of("access_token")).await);
    }

    /// "the old pair dies after a 30 s grace"
    async fn s3_the_old_pair_dies_after_a_grace_of_30_seconds(house: &House) {
        let first = house.login(ADMIN).await;
        refresh(house, &first.text_of("refresh_token")).await.is_success();
        house.advance(29);
        assert!(works(house, &first.text_of("access_token")).await);
        house.advance(10);
        assert!(!works(house, &first.text_of("access_token")).await);
        refresh(house, &first.text_of("refresh_token")).await.is(10004, "TOKEN EXPIRED");
    }

    /// "and no further slot is used"
    async fn s3_refreshing_uses_no_further_slot(house: &House) {
        let mut tokens = Vec::new();
        for _ in 0..8 {
            tokens.push(house.login(ADMIN).await.text_of("refresh_token"));
        }
        for token in &tokens {
            refresh(house, token).await.is_success();
        }
    }

    /// "refresh token likewise" (§2, row 10004)
    async fn s3_an_unknown_refresh_token_is_10004(house: &House) {
        for token in ["x", "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef"] {
            refresh(house, token).await.is(10004, "TOKEN EXPIRED");
        }
        let access = house.login(ADMIN).await.text_of("access_token");
        refresh(house, &access).await.is(10004, "TOKEN EXPIRED");
        house.send(Call::post("refresh_token", &json!({}))).await.is_parameter_error("refresh_token", "required");
    }

    /// "`GET del_token` → envelope; revokes the token and its refresh token."
    async fn s3_del_token_revokes_both_tokens(house: &House) {
        let answer = house.login(ADMIN).await;
        let token = answer.text_of("access_token");
        assert!(works(house, &token).await);
        let deleted = house.send(Call::get("del_token").with(&token)).await;
        assert_eq!(deleted.is_success().members(), ["errcode", "errmsg"]);
        assert!(!works(house, &token).await);
        refresh(house, &answer.text_of("refresh_token")).await.is(10004, "TOKEN EXPIRED");
    }

    /// "A token that was once valid and is now dead still gets errcode 0"
    async fn s3_del_token_of_a_dead_token_is_0(house: &House) {
        let token = house.token_of(ADMIN).await;
        for _ in 0..2 {
            house.send(Call::get("del_token").with(&token)).await.is_success();
        }
        let token = house.token_of(ADMIN).await;
        house.advance(1900);
        house.send(Call::get("del_token").with(&token)).await.is_success();
        house.send(Call::get("del_token").with("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef")).await.is(10004, "TOKEN EXPIRED");
        house.send(Call::get("del_token")).await.is(10004, "TOKEN EXPIRED");
    }

    /// "At most 8 live access tokens per client; the ninth get_token is 60002."
    async fn s3_the_ninth_get_token_is_60002(house: &House) {
        for _ in 0..8 {
            house.login(ADMIN).await.is_success();
        }
        house.login(ADMIN).await.is(60002, "MAX LIMITATION EXCEEDED");
        let other = ("other-id", "other-secret");
        house.add_client("other", other, ClientRole::Admin, &[]).await;
        house.login(other).await.is_success();
    }

    /// "Expiry and revocation free a slot."
    async fn s3_expiry_and_revocation_free_a_slot(house: &House) {
        let token = house.token_of(ADMIN).await;
        for _ in 0..7 {
            house.login(ADMIN).await.is_success();
        }
        house.send(Call::get("del_token").with(&token)).await.is_success();
        house.login(ADMIN).await.is_success();
        house.login(ADMIN).await.is(60002, "MAX LIMITATION EXCEEDED");
        house.advance(1806);
        house.login(ADMIN).await.is_success();
    }

    /// "accepted to the announced second plus a small grace"
    async fn s3_a_token_is_accepted_to_its_announced_second_and_not_for_long_after(house: &House) {
        let token = house.token_of(ADMIN).await;
        house.advance(1800);
        assert!(works(house, &token).await);
        house.advance(10);
        assert!(!works(house, &token).await);
    }

    /// "Tokens survive a restart"
    async fn s3_tokens_survive_a_restart(house: &House) {
        let answer = house.login(ADMIN).await;
        let house = house.restarted().await;
        assert!(works(&house, &answer.text_of("access_token")).await);
        refresh(&house, &answer.text_of("refresh_token")).await.is_success();
    }

    /// "Only hashes are stored."
    async fn s3_no_token_and_no_client_secret_is_stored(house: &House) {
        let answer = house.login(ADMIN).await;
        let stored = house.stored();
        let holds = |text: &str| stored.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(holds(ADMIN.0));
        for secret in [ADMIN.1, &answer.text_of("access_token"), &answer.text_of("refresh_token")] {
            assert!(!holds(secret));
        }
    }

    /// "5 consecutive failed get_token calls block the address for 10 minutes" (§2, row 70004, `block_expire_time`)
    async fn s3_five_failed_logins_block_the_address_for_ten_minutes(house: &House) {
        for attempt in 0..5 {
            house.login(("nobody", &format!("guess {attempt}"))).await.is(-1, "FAILURE");
        }
        let blocked = house.login(ADMIN).await;
        blocked.is(70004, "ACCOUNT IP BLOCKED");
        let now = certkeep_core::time::Clock::now(&house.clock).as_second();
        assert_eq!(blocked.json["block_expire_time"], now + 600);
        house.advance(601);
        house.login(ADMIN).await.is_success();
    }

    /// "only get_token failures count"
    async fn s3_other_failures_block_nobody(house: &House) {
        for _ in 0..8 {
            refresh(house, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef").await.is(10004, "TOKEN EXPIRED");
            house.send(Call::get("certificate/list").with("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef")).await.is(10004, "TOKEN EXPIRED");
            house.send(Call::new(Method::POST, "get_token").body("{")).await.is(-2, "INTERNAL SERVER ERROR");
        }
        house.login(ADMIN).await.is_success();
    }

    /// "consecutive": a success in between starts the count anew
    async fn s3_a_success_starts_the_count_anew(house: &House) {
        for round in 0..2 {
            for attempt in 0..4 {
                house.login(("nobody", &format!("guess {round} {attempt}"))).await.is(-1, "FAILURE");
            }
            house.login(ADMIN).await.is_success();
        }
    }

    /// "and the credential as well, so that one looping client behind a shared address does not lock out the others for
    /// long"
    async fn s3_a_blocked_credential_is_blocked_from_anywhere_and_others_are_not(house: &House) {
        let looping = ("looping-id", "dead-secret");
        for _ in 0..5 {
            house.login(looping).await.is(-1, "FAILURE");
        }
        let elsewhere = |(id, secret): (&str, &str)| {
            Call::post("get_token", &json!({"username": id, "password": secret})).from(ELSEWHERE)
        };
        house.send(elsewhere(looping)).await.is(70004, "ACCOUNT IP BLOCKED");
        house.send(elsewhere(ADMIN)).await.is_success();
        // Failures of a blocked credential do not prolong the block of its address.
        house.advance(300);
        house.login(looping).await.is(70004, "ACCOUNT IP BLOCKED");
        house.advance(301);
        house.login(ADMIN).await.is_success();
    }

    /// "does not lock out the others for long": not even while it goes on looping
    async fn s3_a_client_that_goes_on_looping_keeps_only_itself_out(house: &House) {
        let looping = ("looping-id", "dead-secret");
        for _ in 0..5 {
            house.login(looping).await.is(-1, "FAILURE");
        }
        for minute in 1..30 {
            house.advance(60);
            for _ in 0..3 {
                house.login(looping).await.is(70004, "ACCOUNT IP BLOCKED");
            }
            if minute > 10 {
                let token = house.token_of(ADMIN).await;
                house.send(Call::get("del_token").with(&token)).await.is_success();
            }
        }
    }

    /// "At most 8 live access tokens per client": a refresh of a session whose access token has ended counts as well
    async fn s3_a_refresh_of_an_ended_session_needs_a_slot(house: &House) {
        let first = house.login(ADMIN).await;
        let ended = first.json["refresh_token"].as_str().expect("a refresh token").to_owned();
        house.advance(1810);
        for _ in 0..8 {
            house.login(ADMIN).await.is_success();
        }
        refresh(house, &ended).await.is(60002, "MAX LIMITATION EXCEEDED");
        house.advance(1810);
        refresh(house, &ended).await.is_success();
    }

    /// A blocked address keeps the tokens it has.
    async fn s3_a_block_ends_no_token(house: &House) {
        let token = house.token_of(ADMIN).await;
        for attempt in 0..5 {
            house.login(("nobody", &format!("guess {attempt}"))).await.is(-1, "FAILURE");
        }
        assert!(works(house, &token).await);
    }

    /// §1 of the bad input: the token twice, `del_token` twice (above)
    async fn s3_the_token_twice_is_once_if_it_is_the_same(house: &House) {
        let token = house.token().await;
        house.send(Call::get(&format!("certificate/list?access_token={token}")).with(token)).await.is_success();
        house.send(Call::get("certificate/list?access_token=x").with(token)).await.is_syntax_error("access_token");
    }
}
