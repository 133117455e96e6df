//! A model server in miniature for the cluster tests: it behaves as a bento does towards Knative,
//! starts at once, and can be told to misbehave in each of the ways that a release must survive.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    signal::unix::{SignalKind, signal},
};

/// Serve a make-believe model
#[derive(Parser)]
struct Args {
    /// The version that each answer names
    #[arg(long, env = "MODEL_VERSION", default_value = "v1")]
    version: String,
    /// What it does to its users
    #[arg(long, env = "MODEL_BEHAVIOUR", default_value = "good")]
    behaviour: Behaviour,
    /// Seconds of good service before a `crashing` model exits
    #[arg(long, env = "MODEL_LIFETIME", default_value_t = 5)]
    lifetime: u64,
    /// Port to listen on; Knative sets it
    #[arg(long, env = "PORT", default_value_t = 3000)]
    port: u16,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Behaviour {
    /// Answers
    Good,
    /// Answers each prediction with status 500
    Failing,
    /// Answers one prediction in five with status 500
    Flaky,
    /// Is never ready
    Unready,
    /// Is ready for a while, then exits; in a container, again and again
    Crashing,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let args = Arc::new(Args::parse());
    let listener = TcpListener::bind(("0.0.0.0", args.port)).await.context("failed to listen")?;
    let mut terminated = signal(SignalKind::terminate())?;
    let end_of_life = tokio::time::sleep(Duration::from_secs(args.lifetime));
    tokio::pin!(end_of_life);
    let mut served = 0_u64;
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                served += 1;
                tokio::spawn(serve(accepted?.0, Arc::clone(&args), served));
            }
            _ = terminated.recv() => return Ok(()),
            () = &mut end_of_life, if args.behaviour == Behaviour::Crashing => {
                anyhow::bail!("the model has crashed, as it was told to")
            }
        }
    }
}

/// Answers one request and closes. A client that leaves early is no concern of a test server.
async fn serve(stream: TcpStream, args: Arc<Args>, number: u64) -> Result<()> {
    let mut stream = BufReader::new(stream);
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
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;

    let path = request.split(' ').nth(1).unwrap_or("/");
    let (status, answer) = answer(path, &args, number);
    let text = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{answer}",
        answer.len()
    );
    stream.write_all(text.as_bytes()).await?;
    stream.shutdown().await?;
    Ok(())
}

fn answer(path: &str, args: &Args, number: u64) -> (&'static str, String) {
    let version = &args.version;
    let is_probe = matches!(path, "/readyz" | "/livez" | "/healthz");
    match args.behaviour {
        Behaviour::Unready if is_probe => ("503 Service Unavailable", String::new()),
        _ if is_probe => ("200 OK", String::new()),
        Behaviour::Failing => {
            ("500 Internal Server Error", format!(r#"{{"error":"broken","version":"{version}"}}"#))
        }
        Behaviour::Flaky if number.is_multiple_of(5) => {
            ("500 Internal Server Error", format!(r#"{{"error":"flaky","version":"{version}"}}"#))
        }
        _ => ("200 OK", format!(r#"{{"species":"setosa","version":"{version}"}}"#)),
    }
}
