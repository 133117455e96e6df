//! A model server in miniature for the cluster tests: it behaves as a bento does towards Knative,
//! starts at once, and can be told to misbehave in each of the ways that a release must survive.
//!
//! - `species`: what its answers name, and how often
//! - `prediction`: what it does with a request

mod prediction;
mod species;

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result};
use clap::Parser;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    signal::unix::{SignalKind, signal},
};

use crate::{
    prediction::{Behaviour, Model, Reply},
    species::Species,
};

/// Serve a make-believe model
#[derive(Parser)]
struct Args {
    /// The version that each answer names
    #[arg(long, env = "MODEL_VERSION", default_value = "v1")]
    version: String,
    /// What it does with a prediction
    #[arg(long, env = "MODEL_BEHAVIOUR", default_value = "good")]
    behaviour: Behaviour,
    /// What its answers name, and how often: `NAME:TIMES,…`
    #[arg(long, env = "MODEL_ANSWERS", default_value = "setosa:1")]
    answers: Species,
    /// Milliseconds that a prediction takes; a hundred times as many where it is `slow`
    #[arg(long, env = "MODEL_LATENCY", default_value_t = 20)]
    latency: u64,
    /// Seconds of good service before a `crashing` model exits
    #[arg(long, env = "MODEL_LIFETIME", default_value_t = 5)]
    lifetime: u64,
    /// Seconds that it takes to load, before it listens
    #[arg(long, env = "MODEL_LOADING", default_value_t = 0)]
    loading: u64,
    /// Port to listen on; Knative sets it
    #[arg(long, env = "PORT", default_value_t = 3000)]
    port: u16,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let Args { version, behaviour, answers, latency, lifetime, loading, port } = Args::parse();
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        () = tokio::time::sleep(Duration::from_secs(loading)) => {}
        _ = terminated.recv() => return Ok(()),
    }
    let model = Arc::new(Model::new(version, behaviour, answers, Duration::from_millis(latency)));
    let listener = TcpListener::bind(("0.0.0.0", port)).await.context("failed to listen")?;
    let end_of_life = tokio::time::sleep(Duration::from_secs(lifetime));
    tokio::pin!(end_of_life);
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                tokio::spawn(serve(accepted?.0, Arc::clone(&model)));
            }
            _ = terminated.recv() => return Ok(()),
            () = &mut end_of_life, if behaviour == Behaviour::Crashing => {
                anyhow::bail!("the model has crashed, as it was told to")
            }
        }
    }
}

/// Answers one request and closes. A client that leaves early is no concern of a test server.
async fn serve(stream: TcpStream, model: Arc<Model>) -> Result<()> {
    let mut stream = BufReader::new(stream);
    let path = read_request(&mut stream).await?;
    let answered = tokio::select! {
        reply = model.reply(&path) => reply,
        _ = stream.read_u8() => return Ok(()), // the client has left
    };
    match answered {
        Reply::Whole { status, body } => {
            stream.write_all(head(status, body.len()).as_bytes()).await?;
            stream.write_all(body.as_bytes()).await?;
            stream.shutdown().await?;
        }
        Reply::Half { body } => {
            stream.write_all(head("200 OK", 2 * body.len()).as_bytes()).await?;
            stream.write_all(body.as_bytes()).await?;
            stream.shutdown().await?;
        }
        Reply::Reset => stream.into_inner().set_zero_linger()?,
    }
    Ok(())
}

/// The path that is asked for, when the whole request is there.
async fn read_request(stream: &mut BufReader<TcpStream>) -> Result<String> {
    let mut request = String::new();
    stream.read_line(&mut request).await?;
    let mut length = 0;
    loop {
        let mut header = String::new();
        if stream.read_line(&mut header).await? <= 2 {
            break;
        }
        if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
    }
    stream.read_exact(&mut vec![0; length]).await?;
    Ok(request.split(' ').nth(1).unwrap_or("/").to_owned())
}

fn head(status: &str, length: usize) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )
}
