//! Amazon Managed Service for Prometheus: signatures are checked by a computation of their own.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use ring::{digest, hmac};

use crate::wire::{Answer, answer, command, form, gate, log, serve, sound, status, url};

/// Who may ask, and the session that belongs to it.
struct Keys {
    id: &'static str,
    key: &'static str,
    session: Option<&'static str>,
}

const KEYS: Keys =
    Keys { id: "AKIDEXAMPLE", key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", session: None };
const SESSION: Keys =
    Keys { id: "ASIAEXAMPLE", key: "other+secret/key", session: Some("a/long+token==") };

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn sha256(text: &str) -> String {
    hex(digest::digest(&digest::SHA256, text.as_bytes()).as_ref())
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

/// The query of an address as AWS wants it: decoded, where a `+` is a plus, encoded strictly, sorted.
fn canonical_query(query: &str) -> String {
    let strict = |text: &str| {
        let mut bytes = text.bytes();
        let mut encoded = String::new();
        while let Some(byte) = bytes.next() {
            let byte = if byte == b'%' {
                let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            } else {
                byte
            };
            match byte {
                b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
                _ if byte.is_ascii_alphanumeric() => encoded.push(char::from(byte)),
                _ => write!(encoded, "%{byte:02X}").unwrap(),
            }
        }
        encoded
    };
    let mut pairs: Vec<String> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            format!("{}={}", strict(name), strict(value))
        })
        .collect();
    pairs.sort_unstable();
    pairs.join("&")
}

/// Whether a request carries the signature of these keys, by the rules that AWS publishes.
fn is_signed(request: &str, keys: &Keys) -> bool {
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    let mut first = lines.next().unwrap().split(' ');
    let (method, target) = (first.next().unwrap(), first.next().unwrap());
    let headers: BTreeMap<String, &str> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim()))
        .collect();
    if headers.get("x-amz-security-token").copied() != keys.session {
        return false;
    }
    let Some(told) = headers.get("authorization") else { return false };
    let part = |name: &str| {
        told.split([' ', ',']).find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
    };
    let signed = part("SignedHeaders").unwrap();
    let moment = headers["x-amz-date"];
    let scope = format!("{}/eu-west-1/aps/aws4_request", &moment[..8]);
    let names_the_key = part("Credential") == Some(format!("{}/{scope}", keys.id).as_str());
    if !names_the_key || signed.split(';').all(|name| name != "host") {
        return false;
    }

    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let listed = signed
        .split(';')
        .fold(String::new(), |text, name| text + name + ":" + headers[name] + "\n");
    let canonical = format!(
        "{method}\n{path}\n{}\n{listed}\n{signed}\n{}",
        canonical_query(query),
        sha256(body)
    );
    let to_sign = format!("AWS4-HMAC-SHA256\n{moment}\n{scope}\n{}", sha256(&canonical));
    let key = [&moment[..8], "eu-west-1", "aps", "aws4_request"]
        .iter()
        .fold(format!("AWS4{}", keys.key).into_bytes(), |key, text| mac(&key, text));
    part("Signature") == Some(hex(&mac(&key, &to_sign)).as_str())
}

/// A workspace that answers whom it knows, and counts whom it does not.
fn workspace(keys: Keys, only_get: bool) -> (String, Arc<AtomicUsize>) {
    let strangers = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&strangers);
    let answer: Box<Answer> = Box::new(move |request| {
        if only_get && request.starts_with("POST") {
            return status("405 Method Not Allowed", "");
        }
        if request.contains(" /workspaces/ws-1/api/v1/query") && is_signed(request, &keys) {
            return sound(request);
        }
        count.fetch_add(1, Ordering::Relaxed);
        refused("InvalidSignatureException", "The request signature we calculated does not match")
    });
    (format!("{}/workspaces/ws-1", url(serve(answer, None))), strangers)
}

fn refused(name: &str, message: &str) -> Vec<u8> {
    answer(
        "403 Forbidden",
        &format!("x-amzn-ErrorType: {name}\r\n"),
        &format!(r#"{{"message":"{message}"}}"#),
    )
}

fn secret(folder: &Path, keys: &Keys) -> String {
    fs::write(folder.join("AWS_ACCESS_KEY_ID"), format!("{}\n", keys.id)).unwrap();
    fs::write(folder.join("AWS_SECRET_ACCESS_KEY"), keys.key).unwrap();
    if let Some(session) = keys.session {
        fs::write(folder.join("AWS_SESSION_TOKEN"), session).unwrap();
    }
    format!("--credentials={}", folder.display())
}

const REGION: &str = "--sigv4-region=eu-west-1";
/// Has spaces, pluses and signs that forms and signatures encode differently.
const QUERY: &str = "--query=sum by (a) (x{b=~\"c+|d*~/é\"}) + 1";

#[test]
fn a_request_is_signed_with_the_keys_of_the_secret() {
    for keys in [KEYS, SESSION] {
        for only_get in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let credentials = secret(folder.path(), &keys);
            let (url, strangers) = workspace(Keys { ..keys }, only_get);
            let output = gate(&url, &[REGION, &credentials, QUERY]);
            assert_eq!(output.status.code(), Some(0), "GET {only_get}: {}", log(&output));
            assert_eq!(strangers.load(Ordering::Relaxed), 0);
            assert!(!log(&output).contains(keys.key), "no secret is told");
        }
    }
}

#[test]
fn a_request_is_signed_with_the_keys_of_the_environment() {
    let (url, strangers) = workspace(SESSION, false);
    let output = command(&url)
        .arg(REGION)
        .env("AWS_ACCESS_KEY_ID", SESSION.id)
        .env("AWS_SECRET_ACCESS_KEY", SESSION.key)
        .env("AWS_SESSION_TOKEN", SESSION.session.unwrap())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", log(&output));
    assert_eq!(strangers.load(Ordering::Relaxed), 0);
}

/// What a token service answers: the session, for as long as it is told to.
fn session(valid: Duration) -> Vec<u8> {
    let until = jiff::Timestamp::now() + valid;
    answer(
        "200 OK",
        "Content-Type: text/xml\r\n",
        &format!(
            "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
             <AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>{}</AccessKeyId>\
             <SecretAccessKey>{}</SecretAccessKey><SessionToken>{}</SessionToken>\
             <Expiration>{until:.0}</Expiration></Credentials></AssumeRoleWithWebIdentityResult>\
             </AssumeRoleWithWebIdentityResponse>",
            SESSION.id,
            SESSION.key,
            SESSION.session.unwrap()
        ),
    )
}

/// A gate that has the role of a service account, and a workspace that knows it.
fn with_role(sts: Box<Answer>, more: &[&str]) -> (std::process::Output, usize) {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    fs::write(&token, "a.web.identity").unwrap();
    let (workspace, strangers) = workspace(SESSION, false);
    let output = command(&workspace)
        .arg(REGION)
        .args(more)
        .env("AWS_WEB_IDENTITY_TOKEN_FILE", &token)
        .env("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/gate")
        .env("AWS_ENDPOINT_URL_STS", url(serve(sts, None)))
        .output()
        .unwrap();
    (output, strangers.load(Ordering::Relaxed))
}

#[test]
fn the_role_of_a_service_account_is_assumed_and_renewed_before_it_expires() {
    for (valid, times) in [(Duration::from_hours(1), 1), (Duration::from_mins(1), 2)] {
        let forms = Arc::new(Mutex::new(Vec::new()));
        let asked = Arc::clone(&forms);
        let sts: Box<Answer> = Box::new(move |request| {
            asked.lock().unwrap().push(form(request).to_owned());
            session(valid)
        });
        let (output, strangers) = with_role(sts, &[]);
        assert_eq!(output.status.code(), Some(0), "{}", log(&output));
        assert_eq!(strangers, 0);
        let asked = forms.lock().unwrap();
        assert_eq!(asked.len(), times, "the clock and the question: {asked:?}");
        assert!(asked[0].contains("Action=AssumeRoleWithWebIdentity"), "{asked:?}");
        assert!(asked[0].contains("WebIdentityToken=a.web.identity"), "{asked:?}");
    }
}

#[test]
fn a_token_service_that_does_not_answer_is_not_waited_for() {
    let silent: Box<Answer> = Box::new(|_| {
        loop {
            std::thread::park();
        }
    });
    let (output, _) = with_role(silent, &["--timeout=200ms", "--poll=10ms"]);
    assert_eq!(output.status.code(), Some(1), "{}", log(&output));
    let told = "failed to find credentials of AWS: no answer in time";
    assert!(log(&output).contains(told), "{}", log(&output));
}

#[test]
fn an_outage_of_the_token_service_is_bridged_by_what_is_still_valid() {
    let asked = AtomicUsize::new(0);
    let once: Box<Answer> = Box::new(move |_| match asked.fetch_add(1, Ordering::Relaxed) {
        0 => session(Duration::from_mins(1)),
        _ => status("403 Forbidden", ""),
    });
    let (output, strangers) = with_role(once, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", log(&output));
    assert_eq!(strangers, 0);
}

#[test]
fn without_keys_it_says_where_they_are_looked_for() {
    let (url, _) = workspace(KEYS, false);
    let output = gate(&url, &[REGION, "--poll=10ms"]);
    assert_eq!(output.status.code(), Some(1), "{}", log(&output));
    assert!(log(&output).contains("failed to find credentials of AWS: "), "{}", log(&output));
}

#[test]
fn an_endpoint_that_wants_a_signature_is_recognised() {
    for (name, message, hint) in [
        (
            "MissingAuthenticationTokenException",
            "Missing Authentication Token",
            "add `--sigv4-region=REGION`",
        ),
        (
            "InvalidSignatureException",
            "Signature expired: 20261124T120000Z is now earlier than 20261124T121500Z",
            "clocks",
        ),
        (
            "ExpiredTokenException",
            "The security token included in the request is expired",
            "fresh `AWS_SESSION_TOKEN`",
        ),
        (
            "AccessDeniedException",
            "User: x is not authorized to perform: aps:QueryMetrics",
            "allow the role or user `aps:QueryMetrics`",
        ),
    ] {
        let answer = refused(name, message);
        let port = serve(Box::new(move |_: &str| answer.clone()), None);
        let output = gate(&url(port), &["--poll=10ms"]);
        assert_eq!(output.status.code(), Some(1), "{}", log(&output));
        let told = format!("(403 Forbidden: {name}: {message})");
        let log = log(&output);
        assert!(log.contains(&told), "{log}");
        assert!(log.split("hint: ").nth(1).is_some_and(|told| told.contains(hint)), "{log}");
    }
}

#[test]
fn a_region_that_is_none_is_refused() {
    for region in ["eu west", "eu-west-1.evil.example", "EU-WEST-1", "euwest"] {
        let output = gate("http://127.0.0.1:1", &[&format!("--sigv4-region={region}")]);
        assert_eq!(output.status.code(), Some(2), "{region}");
    }
}
