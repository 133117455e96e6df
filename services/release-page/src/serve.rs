//! From the command line to a server.

use std::env;

use anyhow::{Context as _, Result};
use release_page::{
    page::view::Site,
    server::{self, Listeners, Settings, Shown, TokenFile, metrics_router, router},
    sources,
};
use step::{Outcome, Terminated, Usage, connections::bind, text::address};
use tokio::sync::watch;

use crate::args::{Published, ServeArgs};

pub(crate) async fn serve(args: ServeArgs, mut terminated: Terminated) -> Result<Outcome> {
    let ServeArgs { options, published, event_listener } = args;
    let endpoint = options.access.s3_endpoint.as_ref().map(ToString::to_string);
    let of_the_tools = || {
        let names = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"];
        names.into_iter().filter_map(|name| env::var(name).ok()).find(|text| !text.is_empty())
    };
    let site = Site {
        event_listener: address(&event_listener),
        store: options.store.as_deref().map(address).unwrap_or_default(),
        s3_endpoint: endpoint.or_else(of_the_tools).as_deref().map(address).unwrap_or_default(),
    };
    let (listen, metrics_listen) = (published.listen, published.metrics_listen);
    let settings = settings(published, site)?;

    let shown = Shown::from(sources::start(options).await?);
    let (stopping, stops) = watch::channel(false);
    let metrics = match metrics_listen {
        Some(address) => {
            Some((bind(address, "--metrics-listen").await?, metrics_router(shown.clone())))
        }
        None => None,
    };
    let pages = (bind(listen, "--listen").await?, router(shown, settings, stops));
    tracing::info!(
        "serving on http://{}/",
        pages.0.local_addr().context("failed to read the address")?
    );
    server::serve(Listeners { pages, metrics, stopping }, &mut terminated).await;
    Ok(Outcome::Terminated)
}

/// Refuses to show what nobody meant to show.
fn settings(published: Published, site: Site) -> Result<Settings> {
    let Published {
        listen,
        base_path,
        token_file,
        user_header,
        trusted_proxies,
        insecure_no_authentication,
        ..
    } = published;
    let is_loopback = listen.ip().is_loopback();
    let settings = Settings {
        site,
        base_path,
        token: token_file.map(TokenFile::open).transpose()?,
        user_header,
        trusted_proxies,
        is_local: false,
    };
    let is_open = !settings.asks();
    if is_open && !is_loopback && !insecure_no_authentication {
        return Err(Usage {
            what: format!("everybody who reaches `{listen}` would see all models and releases"),
            hint: "give `--token-file`, or `--user-header` and `--trusted-proxy`; `--insecure-no-authentication` if that is meant".into(),
        }
        .into());
    }
    if is_open && !is_loopback {
        tracing::warn!("everybody who reaches `{listen}` sees all models and releases");
    }
    Ok(Settings { is_local: is_open && is_loopback && !insecure_no_authentication, ..settings })
}
