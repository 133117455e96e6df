//! What the variables and files of the AWS tools say of a store, as far as the SDK leaves it to its callers.

use std::path::Path;

use aws_config::profile::{ProfileSet, load};
use aws_runtime::env_config::{
    file::{EnvConfigFileKind, EnvConfigFiles},
    property::PropertiesKey,
};
use aws_types::os_shim_internal::{Env, Fs};
use step::{innermost, text::short};

/// The chosen profile, and the variables that go before it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Profile {
    pub endpoint: Option<String>,
    /// `addressing_style` where it is `path` or `virtual`; `auto` leaves it to us
    pub path_style: Option<bool>,
    pub region: Option<String>,
    /// Whether the files have it
    pub is_there: bool,
}

impl Profile {
    /// From the files in a folder, or from where the AWS tools look for them.
    pub async fn read(folder: Option<&Path>, name: Option<&str>) -> Self {
        let files = files(folder);
        let (env, name) = (Env::real(), name.map(|name| name.to_owned().into()));
        let set = load(&Fs::real(), &env, &files, name).await.unwrap_or_else(|error| {
            tracing::warn!(
                "the files of the AWS tools are left out: {}",
                short(&innermost(&error), 300)
            );
            ProfileSet::default()
        });
        Self::of(&env, &set)
    }

    fn of(env: &Env, set: &ProfileSet) -> Self {
        let variable = |name: &str| env.get(name).ok().filter(|value| !value.is_empty());
        let own = |key: &str| set.get(key).filter(|value| !value.is_empty()).map(str::to_owned);
        let ignored = variable("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")
            .or_else(|| own("ignore_configured_endpoint_urls"));
        let endpoint = variable("AWS_ENDPOINT_URL_S3")
            .or_else(|| variable("AWS_ENDPOINT_URL"))
            .or_else(|| service(set, "endpoint_url"))
            .or_else(|| own("endpoint_url"))
            .filter(|_| !ignored.is_some_and(|ignored| ignored.eq_ignore_ascii_case("true")));
        let path_style = match own("s3").and_then(|s3| nested(&s3, "addressing_style")).as_deref() {
            Some("path") => Some(true),
            Some("virtual") => Some(false),
            _ => None,
        };
        let region = variable("AWS_REGION")
            .or_else(|| variable("AWS_DEFAULT_REGION"))
            .or_else(|| own("region"));
        let is_there = set.get_profile(set.selected_profile()).is_some();
        Self { endpoint, path_style, region, is_there }
    }
}

/// The files of this folder that are there, or else where the AWS tools look for them.
pub(crate) fn files(folder: Option<&Path>) -> EnvConfigFiles {
    let kinds =
        [("config", EnvConfigFileKind::Config), ("credentials", EnvConfigFileKind::Credentials)];
    let mut found = kinds
        .into_iter()
        .filter_map(|(name, kind)| Some((kind, folder?.join(name))))
        .filter(|(_, file)| file.is_file())
        .peekable();
    if found.peek().is_none() {
        return EnvConfigFiles::default();
    }
    found.fold(EnvConfigFiles::builder(), |files, (kind, file)| files.with_file(kind, file)).build()
}

/// What `[services NAME]` has below `s3 =`, where the profile says `services = NAME`.
fn service(set: &ProfileSet, key: &str) -> Option<String> {
    let key = PropertiesKey::builder()
        .section_key("services")
        .section_name(set.get("services")?)
        .property_name("s3")
        .sub_property_name(key)
        .build();
    set.other_sections().get(&key.ok()?).filter(|value| !value.is_empty()).cloned()
}

/// A line `KEY = VALUE` of those that stand indented below `s3 =`.
fn nested(lines: &str, key: &str) -> Option<String> {
    let pairs = lines.lines().filter_map(|line| line.split_once('='));
    pairs
        .map(|(name, value)| (name.trim(), value.trim()))
        .find(|(name, _)| name.eq_ignore_ascii_case(key))
        .map(|(_, value)| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(config: &str, env: &[(&str, &str)], name: Option<&str>) -> Profile {
        let files = EnvConfigFiles::builder()
            .with_contents(EnvConfigFileKind::Config, config.to_owned())
            .build();
        let (env, name) = (Env::from_slice(env), name.map(|name| name.to_owned().into()));
        Profile::of(&env, &load(&Fs::real(), &env, &files, name).await.unwrap())
    }

    const CONFIG: &str = "
[default]
region = eu-west-1
endpoint_url = http://default
s3 =
  max_concurrent_requests = 20
  addressing_style = virtual

[profile lab]
services = lab
endpoint_url = http://all-of-lab
s3 =
    addressing_style=path
[services lab]
dynamodb =
  endpoint_url = http://tables
s3 =
  endpoint_url = http://store-of-lab

[profile bare]
s3 =
  addressing_style = auto
[profile off]
ignore_configured_endpoint_urls = true
endpoint_url = http://off
";

    #[tokio::test]
    async fn the_endpoint_is_the_nearest_that_is_set() {
        let endpoint = async |env: &[(&str, &str)], name| read(CONFIG, env, name).await.endpoint;
        let (all, s3) = (("AWS_ENDPOINT_URL", "http://all"), ("AWS_ENDPOINT_URL_S3", "http://s3"));
        let ignore = ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true");
        assert_eq!(endpoint(&[all, s3], None).await.as_deref(), Some("http://s3"));
        assert_eq!(endpoint(&[all], Some("lab")).await.as_deref(), Some("http://all"));
        assert_eq!(
            endpoint(&[("AWS_ENDPOINT_URL", "")], None).await.as_deref(),
            Some("http://default")
        );
        assert_eq!(endpoint(&[], Some("lab")).await.as_deref(), Some("http://store-of-lab"));
        assert_eq!(
            endpoint(&[("AWS_PROFILE", "lab")], None).await.as_deref(),
            Some("http://store-of-lab")
        );
        assert_eq!(endpoint(&[], Some("bare")).await, None);
        assert_eq!(endpoint(&[all, s3, ignore], None).await, None);
        assert_eq!(endpoint(&[], Some("off")).await, None);
        assert_eq!(endpoint(&[], Some("none")).await, None);
    }

    #[tokio::test]
    async fn the_addressing_style_and_the_region_are_the_profile_s() {
        let style = async |name| read(CONFIG, &[], name).await.path_style;
        assert_eq!(style(None).await, Some(false));
        assert_eq!(style(Some("lab")).await, Some(true));
        assert_eq!(style(Some("bare")).await, None);
        let region = async |env: &[(&str, &str)]| read(CONFIG, env, None).await.region;
        assert_eq!(region(&[]).await.as_deref(), Some("eu-west-1"));
        assert_eq!(region(&[("AWS_DEFAULT_REGION", "b")]).await.as_deref(), Some("b"));
        let both = [("AWS_DEFAULT_REGION", "b"), ("AWS_REGION", "a")];
        assert_eq!(region(&both).await.as_deref(), Some("a"));
        assert_eq!(read("", &[], None).await, Profile::default());
    }
}
