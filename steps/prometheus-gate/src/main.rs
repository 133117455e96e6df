//! The gate as a process.

use std::process::ExitCode;

fn main() -> ExitCode {
    // TLS needs to know whose ciphers to use before the first client is made.
    let _ = rustls::crypto::ring::default_provider().install_default();
    step::run_to_safe_point(prometheus_gate::start)
}
