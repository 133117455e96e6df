//! The request as text, for a dry run: as HTTP or as a curl command. A token stands by the name of its
//! file, an address that may hold a secret by its variable, and the value of `--header` not at all.

use std::{borrow::Cow, fmt::Write as _};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use clap::ValueEnum;
use reqwest::{
    Url,
    header::{AUTHORIZATION, HeaderMap, HeaderValue},
};
use step::text::address;

use crate::credentials::Credentials;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// The request as it goes over the wire
    Http,
    /// A curl command that sends the same
    Curl,
}

pub(crate) fn text(
    form: Form,
    sink: &Url,
    headers: &HeaderMap,
    body: &[u8],
    credentials: &Credentials,
) -> Vec<u8> {
    match form {
        Form::Http => http(sink, headers, body, credentials),
        Form::Curl => curl(sink, headers, body, credentials).into_bytes(),
    }
}

fn http(sink: &Url, headers: &HeaderMap, body: &[u8], credentials: &Credentials) -> Vec<u8> {
    let query = sink.query().map(|_| "?…").unwrap_or_default();
    let port = sink.port().map(|port| format!(":{port}")).unwrap_or_default();
    let mut head = format!(
        "POST {}{query} HTTP/1.1\nhost: {}{port}\n",
        sink.path(),
        sink.host_str().unwrap_or_default()
    );
    for (name, value) in headers {
        let text = match &credentials.token {
            Some(token) if name == AUTHORIZATION => format!("Bearer <{}>", token.file.display()),
            _ => shown(value).into_owned(),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(head, "{name}: {text}");
    }
    [head.as_bytes(), b"\n", body, b"\n"].concat()
}

fn curl(sink: &Url, headers: &HeaderMap, body: &[u8], credentials: &Credentials) -> String {
    let text = std::str::from_utf8(body).ok().filter(|text| !text.contains('\0'));
    let mut command = match text {
        Some(_) => String::new(),
        None => format!("printf %s {} | base64 -d | ", quoted(&BASE64.encode(body))),
    };
    let is_whole = address(sink.as_str()) == sink.as_str();
    let sink = if is_whole { quoted(sink.as_str()) } else { r#""$K_SINK""#.into() };
    let _ = write!(command, "curl --request POST {sink}");
    for (name, value) in headers {
        let _ = match &credentials.token {
            Some(token) if name == AUTHORIZATION => {
                write!(
                    command,
                    " \\\n  --header \"Authorization: Bearer $(cat {})\"",
                    quoted(&token.file.display().to_string())
                )
            }
            _ => {
                let header = format!("{name}: {}", shown(value));
                write!(command, " \\\n  --header {}", quoted(&header))
            }
        };
    }
    // `--data-raw` takes a leading `@` as it is; bytes that no shell can hold come from the pipe.
    let _ = match text {
        Some(text) => writeln!(command, " \\\n  --data-raw {}", quoted(text)),
        None => writeln!(command, " \\\n  --data-binary @-"),
    };
    command
}

fn shown(value: &HeaderValue) -> Cow<'_, str> {
    if value.is_sensitive() { "…".into() } else { String::from_utf8_lossy(value.as_bytes()) }
}

/// For a POSIX shell: nothing inside single quotes means anything but the quote itself.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
