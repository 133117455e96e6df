//! Any event, any request, and shapes that are made to hurt.

use std::collections::BTreeSet;

use cloudevent::{
    event::Draft,
    http_binding::{Mode, message},
};
use cloudevents::event::ExtensionValue;
use proptest::prelude::*;

use super::*;

fn attribute() -> impl Strategy<Value = String> {
    // Everything that the specification lets into a String.
    "[^\\p{C}]{1,40}".prop_filter("a non-character", |text| {
        !text.chars().any(|c| u32::from(c) & 0xfffe == 0xfffe)
    })
}

fn draft() -> impl Strategy<Value = Draft> {
    let extensions = prop::collection::btree_map(
        "x[a-z0-9]{0,19}",
        prop_oneof![
            attribute().prop_map(ExtensionValue::from),
            any::<i32>().prop_map(|number| i64::from(number).into()),
            any::<bool>().prop_map(ExtensionValue::from)
        ],
        0..5,
    );
    let correlation = prop::option::of("[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?");
    (
        (attribute(), "(/|urn:|https://)[a-z0-9~_.-]{1,30}(/%[0-9A-F]{2})?"),
        (
            prop::option::of(attribute()),
            prop::option::of(Just("application/json; charset=utf-8".to_owned())),
        ),
        (extensions, correlation, prop::option::of(0..8_i64)),
        ("[a-z]([a-z0-9-]{0,44}[a-z0-9])?", "[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", "\\PC{0,30}", any::<bool>()),
    )
        .prop_map(
            |(
                (id, source),
                (subject, datacontenttype),
                (extensions, correlation, hops),
                (service, version, more, shift),
            )| {
                let mut extensions: Vec<_> = extensions.into_iter().collect();
                extensions.extend(
                    correlation.map(|correlation| ("correlationid".to_owned(), correlation.into())),
                );
                extensions.extend(hops.map(|hops| ("chainhops".to_owned(), hops.into())));
                let data =
                    json!({ "serviceName": service, "serviceVersion": version, "more": more, "expectAnswerShift": shift });
                Draft {
                    id,
                    source,
                    ty: REQUESTED.into(),
                    subject,
                    datacontenttype,
                    extensions,
                    data: data.to_string().into_bytes(),
                    ..Draft::default()
                }
            },
        )
}

/// The event as it goes over the wire.
fn sent(draft: &Draft, mode: Mode) -> Result<Event, String> {
    let message = message(&draft.clone().build().expect("a valid event"), mode, None);
    let headers: Vec<_> =
        message.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    outcome(&headers, std::str::from_utf8(&message.body).expect("JSON"))
}

proptest! {
    #[test]
    fn any_valid_event_is_the_same_in_either_mode(draft in draft()) {
        let structured = sent(&draft, Mode::Structured);
        prop_assert!(structured.is_ok(), "{:?}", structured);
        prop_assert_eq!(&structured, &sent(&draft, Mode::Binary));
        let event = structured.unwrap();
        prop_assert_eq!(&event.id, &draft.id);
        prop_assert_eq!(&event.source, &draft.source);
    }

    #[test]
    fn distinct_events_have_distinct_names(mut all in prop::collection::vec(draft(), 2..6), shared in any::<bool>()) {
        if shared {
            let id = all[0].id.clone();
            for draft in &mut all {
                draft.id.clone_from(&id);
            }
        }
        let who: BTreeSet<_> = all.iter().map(|draft| (draft.source.clone(), draft.id.clone())).collect();
        let names: BTreeSet<_> = all.iter().map(|draft| sent(draft, Mode::Structured).unwrap().name).collect();
        prop_assert_eq!(who.len(), names.len());
    }

    #[test]
    fn nothing_in_a_request_panics(
        names in prop::collection::vec("(?i)(ce-(id|type|source|specversion|chainhops|[a-z-]{0,9})|content-type|authorization|x-hub-signature-256|webhook-(id|timestamp|signature)|\\PC{0,9})", 0..8),
        values in prop::collection::vec("(\\PC{0,20}|%[0-9a-fA-F%]{0,3}|1\\.0|v1,[A-Za-z0-9+/=]{0,50}|sha256=[0-9a-f\\PC]{0,64}|Bearer \\PC{0,9}|[0-9]{0,30}|(?i)application/(cloudevents)?(-batch)?\\+?json(; *charset=\"?[a-z0-9-]{0,9}\"?)?)", 8),
        body in "(\\PC{0,60}|[\\[\\]{}\":,0-9a-z\\\\u.eE+ -]{0,60}|\\{\"specversion\":\"1\\.0\",\"id\":\"\\PC{0,9}\",\"source\":\"/s\",\"type\":\"build\\.canary\\.release\\.((decision\\.|rollback\\.)?requested|canary\\.(created|advanced))\\.v1\",\"data\":[\\[\\]{}\":,0-9a-z.eE+ -]{0,40}\\})",
        keyed in any::<bool>(),
    ) {
        let mut headers = Headers::default();
        for (name, value) in names.into_iter().zip(values) {
            headers.0.entry(name).or_default().push(value);
        }
        let keys = if keyed {
            Credentials { hmac: Some(crate::credentials::HmacKey { text: b"k".into(), decoded: Some(b"d".into()) }), token: Some(b"t".into()) }
        } else {
            Credentials::default()
        };
        let request = Request { body, header: headers, ..Request::default() };
        let decision = crate::interceptor::decide(&request, &keys, &open(), SystemTime::now());
        if let Err(refusal) = decision {
            let _ = http_binding::id_and_source(&request.header, &request.body);
            prop_assert!(!refusal.line().contains(char::is_control));
        }
    }

    #[test]
    fn one_byte_more_or_less_or_other_panics_nothing(draft in draft(), at in any::<prop::sample::Index>(), new in "\\PC{0,2}", gone in 0..3_usize) {
        let message = message(&draft.build().unwrap(), Mode::Structured, None);
        let text = String::from_utf8(message.body).unwrap();
        let at = at.index(text.chars().count());
        let changed: String = text.chars().take(at).chain(new.chars()).chain(text.chars().skip(at + gone)).collect();
        let _ = outcome(&[JSON], &changed);
    }
}

#[test]
fn a_hostile_shape_takes_no_longer_than_its_size() {
    let names: Vec<_> = (0..120_000).map(|number| format!(r#","x{number:x}":1"#)).collect();
    let many = names.concat();
    let deep = format!("{}{}", "[".repeat(400_000), "]".repeat(400_000));
    for body in [
        format!(
            r#"{{"specversion":"1.0","type":"{REQUESTED}","id":"7","source":"/s","data":{DATA}{many}}}"#
        ),
        format!(
            r#"{{"specversion":"1.0","type":"{REQUESTED}","id":"7","source":"/s","data":{{"a":{deep},{}}}"#,
            &DATA[1..]
        ),
        deep.clone(),
        format!(
            r#"{{"specversion":"1.0","type":"{REQUESTED}","id":"7","source":"/s","data":{{"serviceName":{deep}}}}}"#
        ),
    ] {
        let _ = outcome(&[JSON], &body); // quadratic or recursive, one of these would not end well
    }
}
