//! A client for the API server of the pod's cluster, or of the kubeconfig's.

use std::{env, time::Duration};

use anyhow::{Context as _, Result};
use kube::{
    Client, Config,
    client::ClientBuilder,
    config::{KubeConfigOptions, Kubeconfig},
};
use tower::{BoxError, util::MapErrLayer};

use super::proxies::{Proxies, Proxy};
use crate::error::chain;

/// At a terminal a proxy may lead to it, as with `kubectl`: the kubeconfig's `proxy-url`, or else that
/// of `HTTPS_PROXY` unless `NO_PROXY` names the server. A pod asks its own API server directly.
pub async fn client(answer_within: Duration) -> Result<Client> {
    let (mut config, proxy) = match kubeconfig().await {
        Ok(found) => found,
        Err(_) if env::var_os("KUBERNETES_SERVICE_HOST").is_some() => (Config::incluster()?, None),
        Err(error) => return Err(error),
    };
    config.read_timeout = Some(answer_within);
    // kube's own choice compares NO_PROXY with the proxy's name.
    config.proxy_url = proxy.as_ref().map(|proxy| proxy.secret_url().parse()).transpose()?;
    let client = ClientBuilder::try_from(config)?;
    Ok(match proxy {
        Some(proxy) => {
            let told = move |error: BoxError| proxy.failure(error.as_ref());
            client.with_layer(&MapErrLayer::new(told)).build()
        }
        None => client.build(),
    })
}

/// The sentence of an API status, or the chain of causes of a connection that failed.
pub fn cause(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if status.message.is_empty() => format!("HTTP {}", status.code),
        kube::Error::Api(status) => status.message.clone(),
        kube::Error::Service(source) => chain(source.as_ref()), // its own name says nothing
        _ => chain(error),
    }
}

async fn kubeconfig() -> Result<(Config, Option<Proxy>)> {
    let file = Kubeconfig::read()?;
    let own = proxy_url(&file);
    let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
    let proxy = match own {
        Some(url) => Some(Proxy::new(&url, &config.cluster_url).context(
            "the kubeconfig's `proxy-url` is not a valid http://, https:// or socks5:// URL",
        )?),
        None => Proxies::from_env().to(&config.cluster_url.to_string()),
    };
    Ok((config, proxy))
}

/// The `proxy-url` of the current context's cluster.
fn proxy_url(file: &Kubeconfig) -> Option<String> {
    let current = file.current_context.as_ref()?;
    let context = file.contexts.iter().find(|context| context.name == *current)?;
    let name = &context.context.as_ref()?.cluster;
    let cluster = file.clusters.iter().find(|cluster| cluster.name == *name)?;
    cluster.cluster.as_ref()?.proxy_url.clone().filter(|url| !url.is_empty())
}
