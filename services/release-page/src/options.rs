//! The flags that say what is watched: namespaces of the cluster, and a store.

use std::path::PathBuf;

use bento_retrieve::request::AccessArgs;
use clap::Args;

/// What is watched; the same for the page and for a terminal.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "What is shown")]
pub struct Options {
    /// Namespace whose services are shown, may be given again [default: the pod's own, or the kubeconfig's]
    #[arg(long = "namespace", value_name = "NAME", env = "NAMESPACE", value_delimiter = ',')]
    pub namespaces: Vec<String>,
    /// Show the services of all namespaces, whatever --namespace says; this takes rights in all of them
    #[arg(long, env = "ALL_NAMESPACES")]
    pub all_namespaces: bool,
    /// Store of the bentos; without it no models are shown
    #[arg(long, value_name = "s3://BUCKET/PREFIX", env = "STORE")]
    pub store: Option<String>,
    /// Where release-record keeps what outlives a release's runs [default: `releases` in the store]
    #[arg(long, value_name = "s3://BUCKET/PREFIX", env = "RELEASES")]
    pub releases: Option<String>,
    /// The only Prometheus that is asked about gates which are deciding, and only while somebody looks [default:
    /// each gate's own]
    #[arg(long, value_name = "URL", env = "PROMETHEUS_URL")]
    pub prometheus_url: Option<String>,
    /// Where --prometheus-url is reached from here, as by a forwarded port; the credentials go there
    #[arg(long, value_name = "URL", env = "PROMETHEUS_AT", requires = "prometheus_url")]
    pub prometheus_at: Option<String>,
    /// Folder of the credentials for --prometheus-url, as of prometheus-gate; a gate's own gets none
    #[arg(long, value_name = "DIR", env = "PROMETHEUS_CREDENTIALS", requires = "prometheus_url")]
    pub prometheus_credentials: Option<PathBuf>,
    #[command(flatten)]
    pub access: AccessArgs,
}
