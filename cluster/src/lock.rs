//! One command changes the cluster at a time, on the whole machine.

use std::{
    io::ErrorKind,
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixListener},
    },
};

use anyhow::{Context, Result};
use step::Failure;

/// An abstract socket: machine-wide, without a file, and the kernel lets go of it however we end.
const NAME: &[u8] = b"kanaria-cluster";

/// Held while `up` or `down` works.
pub(crate) struct Lock {
    _socket: UnixListener,
}

impl Lock {
    pub(crate) fn take() -> Result<Self> {
        let address = SocketAddr::from_abstract_name(NAME).context("failed to name the lock")?;
        let socket = match UnixListener::bind_addr(&address) {
            Err(error) if error.kind() == ErrorKind::AddrInUse => return Err(taken().into()),
            bound => bound.context("failed to lock the cluster")?,
        };
        Ok(Self { _socket: socket })
    }
}

fn taken() -> Failure {
    Failure {
        what: "failed to lock the cluster: another `up` or `down` is at work on this machine"
            .into(),
        hint: "wait until it has ended; `ss -xlp | grep kanaria` names its process".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_command_is_refused_until_the_first_has_ended() {
        // A real `up` on this machine may hold the lock just now: then it is the first.
        let first = Lock::take();
        let refused = Lock::take().err().map(|error| error.to_string());
        assert_eq!(
            refused.as_deref(),
            Some("failed to lock the cluster: another `up` or `down` is at work on this machine")
        );
        if let Ok(first) = first {
            drop(first);
            assert!(Lock::take().is_ok());
        }
    }
}
