//! Commands to copy: what gets a model, what releases it, and what people say about a release.

use maud::{Markup, html};
use serde_json::json;

use crate::{
    known::Service,
    page::{
        text::{command, shell},
        view::Site,
    },
};

/// Gets a bento from the store.
pub(super) fn retrieve(site: &Site, name: &str, version: &str) -> String {
    let mut words = vec!["bento-retrieve".to_owned()];
    let store = if site.store.is_empty() { "s3://BUCKET" } else { &site.store };
    words.push(format!("--store={}", shell(store)));
    if !site.s3_endpoint.is_empty() {
        words.push(format!("--s3-endpoint={}", shell(&site.s3_endpoint)));
    }
    words.push(format!("--bento={}", shell(&format!("{name}:{version}"))));
    words.push(format!("--into={}", shell(name)));
    words.join(" ")
}

/// Sends the event that releases a bento.
pub(super) fn request_release(site: &Site, name: &str, version: &str) -> String {
    let mut data = json!({ "serviceName": service_name(name), "serviceVersion": version });
    if service_name(name) != name {
        data["bento"] = json!({ "tag": format!("{name}:{version}") });
    }
    let before = "{\n  \"specversion\": \"1.0\", \"type\": \"build.canary.release.requested.v1\",\n  \"id\": \"";
    let after = format!(
        "\", \"source\": \"/people/ME\",\n  \"data\": {}}}",
        step::text::json(&data.to_string())
    );
    format!(
        "curl -i {} -H 'Content-Type: application/cloudevents+json' -d {}$(uuidgen){}",
        shell(&site.event_listener),
        shell(before),
        shell(&after)
    )
}

/// A bento's name where a service can have it, which is a DNS label.
fn service_name(name: &str) -> &str {
    let is_label = |name: &str| {
        name.len() <= 63
            && name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.ends_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            && name.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-')
    };
    if is_label(name) { name } else { "SERVICE" }
}

/// What people can say about the release of a service that is under way.
pub(super) fn decisions(service: &Service, version: &str, next: Option<u8>) -> Markup {
    let annotate = |name: &str, value: Option<&str>| {
        let value = value.map_or_else(|| "-".to_owned(), |value| format!("={}", shell(value)));
        format!(
            "kubectl annotate lease -n {} {} --overwrite kanaria.dev/{name}{value}",
            shell(&service.namespace),
            shell(&format!("{}-canary-decision", service.name))
        )
    };
    let up_to = next.map(|next| format!("@{next}")).unwrap_or_default();
    let is_held = service.decisions.iter().any(|(decision, _)| decision == "hold");
    let hold = if is_held {
        ("Resume", "ends the hold", annotate("hold", None))
    } else {
        (
            "Hold",
            "no rung is climbed; the gate may still fail",
            annotate("hold", Some(&format!("{version} ME: WHY"))),
        )
    };
    let all = [
        hold,
        (
            "Approve",
            "the permission that a step waits for",
            annotate("approve", Some(&format!("{version}{up_to} ME: WHY"))),
        ),
        (
            "Promote",
            "the next rung at once, whatever the gate says",
            annotate("promote", Some(&format!("{version}{up_to} ME: WHY"))),
        ),
        (
            "Abort",
            "takes the canary back at once",
            annotate("abort", Some(&format!("{version} ME: WHY"))),
        ),
    ];
    html! {
        @for (name, does, text) in all {
            div.decision { h3 { (name) } p.soft { (does) } (command(name, &text)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site() -> Site {
        Site {
            event_listener: "http://el-canary:8080".into(),
            store: "s3://bentos".into(),
            s3_endpoint: "http://s3.local:9000".into(),
        }
    }

    #[test]
    fn a_bento_is_got_by_one_line() {
        insta::assert_snapshot!(
            retrieve(&site(), "iris", "v2"),
            @"bento-retrieve --store=s3://bentos --s3-endpoint=http://s3.local:9000 --bento=iris:v2 --into=iris"
        );
        insta::assert_snapshot!(
            retrieve(&Site::default(), "a b", "$(id)"),
            @"bento-retrieve --store=s3://BUCKET --bento='a b:$(id)' --into='a b'"
        );
    }

    /// What the shell makes of the command's words.
    fn words(command: &str) -> Vec<String> {
        let script =
            format!("uuidgen() {{ echo 7; }}; curl() {{ printf '%s\\0' \"$@\"; }}\n{command}");
        let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.trim_end_matches('\0').split('\0').map(str::to_owned).collect()
    }

    #[test]
    fn the_event_reaches_the_listener_as_json_whatever_a_bento_is_called() {
        let words = |name, version| {
            let words = words(&request_release(&site(), name, version));
            let event: serde_json::Value = serde_json::from_str(&words[5]).unwrap();
            (words[1].clone(), event)
        };
        let (address, event) = words("iris", "v2");
        assert_eq!(address, "http://el-canary:8080");
        assert_eq!(event["id"], "7");
        assert_eq!(event["data"], json!({ "serviceName": "iris", "serviceVersion": "v2" }));

        let (name, version) = ("<script>'$(id)'</script>", "\"`id`\\");
        let (_, event) = words(name, version);
        assert_eq!(
            event["data"],
            json!({ "serviceName": "SERVICE", "serviceVersion": version, "bento": { "tag": format!("{name}:{version}") } })
        );
    }
}
