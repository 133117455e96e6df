//! The command line.

use std::{net::SocketAddr, path::PathBuf};

use axum::http::HeaderName;
use clap::{Args as Group, Parser, Subcommand};
use ipnet::IpNet;
use release_page::{
    options::Options,
    server::BasePath,
    terminal::{ListArgs, WatchArgs},
};

/// See the models of a store, the services that run them, and how their releases went
///
/// Reads the store, and watches the API server; it changes nothing and keeps nothing.
#[derive(Parser)]
#[command(name = "release-page", version, max_term_width = 100)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Serve the page
    ///
    /// Without JavaScript it is whole; with it, it is live. By itself it is for who may forward a port to
    /// it: to listen elsewhere it wants a token, or a proxy of the site that signs people in. An empty value
    /// counts as not given.
    #[command(after_help = EXAMPLES)]
    Serve(Box<ServeArgs>),
    /// Follow one release of a service in a terminal, from its begin to its end
    Watch(WatchArgs),
    /// Print the services: who gets which part of the requests, and how far their releases are
    List(Box<ListArgs>),
}

const EXAMPLES: &str = "\
Examples:
  In a pod, as the Deployment has it:
    kubectl port-forward deploy/release-page 8080    # then http://localhost:8080

  On your own machine, with your kubeconfig and the login of the AWS tools:
    release-page serve --namespace=models --store=s3://bentos

  For all of the site, behind an ingress that signs people in at https://ml.acme.com/releases:
    release-page serve --listen=0.0.0.0:8080 --base-path=/releases \\
      --user-header=X-Forwarded-User --trusted-proxy=10.0.0.0/8

  With a token, which browsers are asked for once a week:
    openssl rand -hex 32 > token
    release-page serve --listen=0.0.0.0:8080 --token-file=token
    curl -H \"Authorization: Bearer $(cat token)\" http://release-page:8080/metrics

Exit codes: 1 cannot serve, 2 wrong usage, 143 stopped by SIGTERM";

#[derive(Group)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) options: Options,
    #[command(flatten)]
    pub(crate) published: Published,
    /// Where events go, for the command that releases a model
    #[arg(
        long,
        value_name = "URL",
        env = "EVENT_LISTENER",
        default_value = "http://el-canary:8080",
        help_heading = "What is shown"
    )]
    pub(crate) event_listener: String,
}

#[derive(Group)]
#[command(next_help_heading = "Who may see it")]
pub(crate) struct Published {
    /// Address and port to serve on. One that others reach wants `--token-file` or `--user-header`
    #[arg(long, value_name = "ADDRESS", env = "LISTEN", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,
    /// Address and port at which `/metrics` and `/healthz` are served, and nothing else, to everybody. On
    /// `--listen` they are, too, there for who may see the page
    #[arg(long, value_name = "ADDRESS", env = "METRICS_LISTEN")]
    pub(crate) metrics_listen: Option<SocketAddr>,
    /// Path that the page has at a proxy, such as `/releases`. Requests may come with it or without.
    /// `X-Forwarded-Prefix` of a trusted proxy goes before
    #[arg(long, value_name = "PATH", env = "BASE_PATH", default_value = "/")]
    pub(crate) base_path: BasePath,
    /// File with a token, read for each request: a browser is asked for it, a program sends it as
    /// `Authorization: Bearer`
    #[arg(long, value_name = "FILE", env = "TOKEN_FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Header in which a trusted proxy names the user; only requests with it are answered
    #[arg(long, value_name = "HEADER", env = "USER_HEADER", requires = "trusted_proxies")]
    pub(crate) user_header: Option<HeaderName>,
    /// Addresses whose `X-Forwarded-…` and user headers are believed, may be given again
    #[arg(
        long = "trusted-proxy",
        value_name = "CIDR",
        env = "TRUSTED_PROXY",
        value_delimiter = ','
    )]
    pub(crate) trusted_proxies: Vec<IpNet>,
    /// Let everybody in who reaches the address
    #[arg(long, env = "INSECURE_NO_AUTHENTICATION")]
    pub(crate) insecure_no_authentication: bool,
}
