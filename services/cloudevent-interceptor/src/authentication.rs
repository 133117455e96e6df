//! Whether an event comes from somebody who has the key: by its signature or its token.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use step::text::{hex, is_sha256};
use subtle::{Choice, ConstantTimeEq as _};

use crate::{
    credentials::{Credentials, HmacKey},
    http_binding::Mode,
    protocol::Headers,
    refusal::{Refusal, shown},
};

const GITHUB: &str = "X-Hub-Signature-256";

/// Lets an event pass that carries the token, or a signature over all that it says. A signature
/// that is there must be right, whatever else there is.
pub(crate) fn check(
    credentials: &Credentials,
    mode: Option<Mode>,
    headers: &Headers,
    body: &str,
    (now, window): (SystemTime, Duration),
) -> Result<(), Refusal> {
    let Credentials { hmac, token } = credentials;
    if hmac.is_none() && token.is_none() {
        return Ok(());
    }
    let signed = match hmac {
        Some(key) => {
            let github = is_github(key, headers, body)?;
            is_standard_webhook(key, headers, body, (now, window))? || github
        }
        None => false, // without a key there is nothing to hold a signature to
    };
    if token.as_ref().is_some_and(|token| has_token(token, headers)) {
        return Ok(());
    }
    if signed && mode == Some(Mode::Binary) {
        return Err(Refusal::unproved(
            "the signature covers the body alone, and in binary mode id, source and type are headers",
            "sign the event in structured mode, `Content-Type: application/cloudevents+json`, or send the token",
        ));
    }
    if signed {
        return Ok(());
    }
    let presented = headers.all("authorization").next().is_some();
    let what = match (token.is_some(), presented) {
        (true, true) => "`Authorization` is not the token of this listener",
        _ => "nothing proves who sent the event",
    };
    Err(Refusal::unproved(what, hint(credentials)))
}

fn hint(credentials: &Credentials) -> &'static str {
    match (credentials.hmac.is_some(), credentials.token.is_some()) {
        (true, true) => {
            "sign the body (`X-Hub-Signature-256`, or Standard Webhooks) or send `Authorization: Bearer TOKEN`, with the keys of Secret `canary-listener`"
        }
        (true, false) => {
            "sign the body (`X-Hub-Signature-256`, or Standard Webhooks) with the key `hmac` of Secret `canary-listener`"
        }
        _ => "send `Authorization: Bearer TOKEN` with the key `token` of Secret `canary-listener`",
    }
}

/// Digests have one length, so that their comparison tells nothing about the token's.
fn has_token(token: &[u8], headers: &Headers) -> bool {
    let same = |value: &str| {
        let (scheme, given) = value.split_once(' ').unwrap_or_default();
        let same = Sha256::digest(given.trim()).ct_eq(&Sha256::digest(token));
        scheme.eq_ignore_ascii_case("bearer") && bool::from(same)
    };
    headers.one("authorization").ok().flatten().is_some_and(same)
}

/// `X-Hub-Signature-256: sha256=HEX` over the body, as GitHub documents it. False if it is not there.
fn is_github(key: &HmacKey, headers: &Headers, body: &str) -> Result<bool, Refusal> {
    let Some(value) = headers.one(GITHUB)? else { return Ok(false) };
    let given = value.trim().strip_prefix("sha256=").map(str::to_ascii_lowercase);
    let Some(given) = given.filter(|digits| is_sha256(digits)) else {
        return Err(Refusal::unproved(
            format!("`{GITHUB}` is not a valid signature: `{}`", shown(value)),
            "write `sha256=` and the 64 hex digits of HMAC-SHA256 over the body",
        ));
    };
    let keys = [Some(&key.text), key.decoded.as_ref()];
    let wanted = keys.into_iter().flatten().map(|key| hex(&mac(key, &[body])));
    let same = wanted.map(|wanted| wanted.as_bytes().ct_eq(given.as_bytes()));
    if bool::from(same.fold(Choice::from(0), |any, same| any | same)) {
        return Ok(true);
    }
    Err(Refusal::unproved(
        format!("`{GITHUB}` is wrong for this body"),
        "sign the bytes of the body as they are sent, with the key `hmac` of Secret `canary-listener`",
    ))
}

/// Standard Webhooks: `webhook-signature: v1,BASE64 …` over `ID.TIMESTAMP.BODY`. False if it is not
/// there.
fn is_standard_webhook(
    key: &HmacKey,
    headers: &Headers,
    body: &str,
    (now, window): (SystemTime, Duration),
) -> Result<bool, Refusal> {
    let Some(signatures) = headers.one("webhook-signature")? else { return Ok(false) };
    let lacks = |name: &str| {
        Refusal::unproved(
            format!("`webhook-signature` is there without a usable `{name}`"),
            "send `webhook-id`, `webhook-timestamp` (seconds since 1970) and `webhook-signature`",
        )
    };
    let id = headers
        .one("webhook-id")?
        .filter(|id| !id.is_empty())
        .ok_or_else(|| lacks("webhook-id"))?;
    let timestamp = headers.one("webhook-timestamp")?.unwrap_or_default();
    let seconds: u64 = timestamp
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| timestamp.parse().ok())
        .flatten()
        .ok_or_else(|| lacks("webhook-timestamp"))?;

    let wanted = mac(key.decoded.as_ref().unwrap_or(&key.text), &[id, ".", timestamp, ".", body]);
    let same = signatures
        .split_whitespace()
        .filter_map(|one| BASE64.decode(one.strip_prefix("v1,")?).ok())
        .map(|given| wanted.ct_eq(given.as_slice()));
    if !bool::from(same.fold(Choice::from(0), |any, same| any | same)) {
        return Err(Refusal::unproved(
            "`webhook-signature` is wrong for this body, id and timestamp",
            "write `v1,` and the base64 of HMAC-SHA256 over `ID.TIMESTAMP.BODY`, with the key `hmac` of Secret `canary-listener`",
        ));
    }
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    if now.abs_diff(seconds) > window.as_secs() {
        return Err(Refusal::unproved(
            format!(
                "`webhook-timestamp` is {} s from now: the event may be an old one, sent again",
                now.abs_diff(seconds)
            ),
            format!("sign anew when sending again, and keep clocks within {} s", window.as_secs()),
        ));
    }
    Ok(true)
}

fn mac(key: &[u8], parts: &[&str]) -> [u8; 32] {
    // A key of any length is one of HMAC.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; 32] };
    for part in parts {
        mac.update(part.as_bytes());
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of Standard Webhooks' specification and of GitHub's documentation.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const BODY: &str = r#"{"test": 2432232314}"#;
    const WEBHOOK: [(&str, &str); 3] = [
        ("Webhook-Id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
        ("Webhook-Timestamp", "1614265330"),
        ("Webhook-Signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
    ];

    fn credentials(hmac: Option<&str>, token: Option<&str>) -> Credentials {
        let decoded =
            |text: &str| text.strip_prefix("whsec_").map(|text| BASE64.decode(text).unwrap());
        Credentials {
            hmac: hmac.map(|text| HmacKey { text: text.into(), decoded: decoded(text) }),
            token: token.map(Into::into),
        }
    }

    fn headers(all: &[(&str, &str)]) -> Headers {
        let mut headers = Headers::default();
        for (name, value) in all {
            headers.0.entry((*name).to_owned()).or_default().push((*value).to_owned());
        }
        headers
    }

    fn at(seconds: u64) -> (SystemTime, Duration) {
        (UNIX_EPOCH + Duration::from_secs(seconds), Duration::from_mins(5))
    }

    fn checked(known: &Credentials, all: &[(&str, &str)], body: &str) -> Result<(), Refusal> {
        check(known, Some(Mode::Structured), &headers(all), body, at(1_614_265_330))
    }

    #[test]
    fn github_s_own_example_passes_and_a_changed_body_does_not() {
        let known = credentials(Some("It's a Secret to Everybody"), None);
        let digits = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        let signed = [(GITHUB, format!("sha256={digits}"))];
        let signed: Vec<_> = signed.iter().map(|(name, value)| (*name, value.as_str())).collect();
        checked(&known, &signed, "Hello, World!").unwrap();
        assert!(
            checked(&known, &signed, "Hello, World?")
                .is_err_and(|refusal| refusal.what.contains("wrong"))
        );
        for bad in
            ["sha256=", "sha1=757107ea0eb2509fc211221cce984b8a37570b6d", digits, "", "sha256=éé"]
        {
            assert!(checked(&known, &[(GITHUB, bad)], "Hello, World!").is_err(), "{bad}");
        }
        let twice = [signed[0], signed[0]];
        assert!(checked(&known, &twice, "Hello, World!").is_err());
    }

    #[test]
    fn the_example_of_standard_webhooks_passes() {
        let known = credentials(Some(SECRET), None);
        checked(&known, &WEBHOOK, BODY).unwrap();
        let several = format!("v1a,AAAA v1,AAAA {} v2,x", WEBHOOK[2].1);
        checked(&known, &[WEBHOOK[0], WEBHOOK[1], (WEBHOOK[2].0, &several)], BODY).unwrap();
        for name in ["Webhook-Id", "Webhook-Timestamp"] {
            let left: Vec<_> = WEBHOOK.into_iter().filter(|one| one.0 != name).collect();
            assert!(checked(&known, &left, BODY).is_err(), "{name}");
        }
        for (name, value) in [
            ("Webhook-Id", "msg_2"),
            ("Webhook-Timestamp", "1614265331"),
            ("Webhook-Timestamp", "+1614265330"),
            ("Webhook-Signature", "v1,AAAA"),
        ] {
            let changed: Vec<_> = WEBHOOK
                .iter()
                .map(|one| if one.0 == name { (name, value) } else { *one })
                .collect();
            assert!(checked(&known, &changed, BODY).is_err(), "{name}: {value}");
        }
        assert!(checked(&known, &WEBHOOK, "{}").is_err());
    }

    #[test]
    fn a_signature_is_worth_nothing_after_its_time_nor_before() {
        let known = credentials(Some(SECRET), None);
        let sent = |now| check(&known, Some(Mode::Structured), &headers(&WEBHOOK), BODY, at(now));
        sent(1_614_265_330 + 300).unwrap();
        sent(1_614_265_330 - 300).unwrap();
        assert!(sent(1_614_265_330 + 301).is_err_and(|refusal| refusal.what.contains("301 s")));
        assert!(sent(1_614_265_330 - 301).is_err());
    }

    #[test]
    fn a_token_serves_both_modes_and_a_signature_one() {
        let both = credentials(Some(SECRET), Some("t0ken"));
        for mode in [Mode::Structured, Mode::Binary] {
            let with = |all: &[(&str, &str)]| {
                check(&both, Some(mode), &headers(all), BODY, at(1_614_265_330))
            };
            with(&[("Authorization", "Bearer t0ken")]).unwrap();
            with(&[("authorization", "bearer  t0ken ")]).unwrap();
            assert!(
                with(&[("Authorization", "Bearer t0kem")])
                    .is_err_and(|refusal| refusal.what.contains("Authorization"))
            );
            for bad in ["t0ken", "Basic t0ken", "Bearer ", "Bearer t0ken t0ken", ""] {
                assert!(with(&[("Authorization", bad)]).is_err(), "{bad}");
            }
            assert!(with(&[]).is_err());
            assert_eq!(with(&WEBHOOK).is_ok(), mode == Mode::Structured);
        }
    }

    #[test]
    fn a_wrong_signature_is_not_made_good_by_the_token() {
        let both = credentials(Some(SECRET), Some("t0ken"));
        let token = ("Authorization", "Bearer t0ken");
        assert!(checked(&both, &[token, (GITHUB, "sha256=00")], BODY).is_err());
        checked(&both, &[token, WEBHOOK[0], WEBHOOK[1], WEBHOOK[2]], BODY).unwrap();
        // Somebody's own token beside a signature that is right.
        checked(
            &both,
            &[("Authorization", "Bearer other"), WEBHOOK[0], WEBHOOK[1], WEBHOOK[2]],
            BODY,
        )
        .unwrap();
    }

    #[test]
    fn without_keys_everybody_passes() {
        checked(&credentials(None, None), &[(GITHUB, "sha256=00")], BODY).unwrap();
    }
}
