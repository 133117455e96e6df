//! CA certificates of a site, for the commands of a Dockerfile.
//!
//! pip, uv and the rest look for them in a variable, and a builder hands a command no variable that its
//! Dockerfile does not declare. So the build reads a copy of it that declares them: while it is built, not after.

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};

use crate::bento::dockerfile::parser::Dockerfile;

/// The CA certificates that a step itself trusts.
pub const CA_CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// By which OpenSSL, Go and uv, pip, requests, curl, git, AWS's tools and Node are told of a file.
const VARIABLES: [&str; 7] = [
    "SSL_CERT_FILE",
    "PIP_CERT",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "AWS_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
];

/// Lays out, beside a bento's folder, the CA certificates and the Dockerfile whose commands trust them. Returns its path.
///
/// `system` are those that this step trusts: a command that is given a file looks nowhere else.
pub fn lay_out(bento: &Path, dockerfile: &str, own: &[u8], system: &Path) -> io::Result<PathBuf> {
    let beside = |ending: &str| {
        let mut path = OsString::from(bento);
        path.push(ending);
        PathBuf::from(path)
    };
    let authorities = beside(".authorities.crt");
    let mut all = fs::read(system)?;
    all.push(b'\n');
    all.extend_from_slice(own);
    fs::write(&authorities, all)?;
    let text = fs::read_to_string(bento.join(dockerfile))?;
    let copy = beside(".Dockerfile");
    fs::write(&copy, trusting(&text, &authorities.to_string_lossy()))?;
    Ok(copy)
}

/// A Dockerfile that declares the variables in each of its stages.
fn trusting(dockerfile: &str, authorities: &str) -> String {
    let values: Vec<_> = VARIABLES.iter().map(|name| format!("{name}={authorities}")).collect();
    let declaration = format!("ARG {}\n", values.join(" "));
    let stages: Vec<_> = Dockerfile::parse(dockerfile)
        .instructions
        .into_iter()
        .filter(|one| one.name == "FROM")
        .map(|one| one.after)
        .collect();
    let mut copy = String::new();
    for (line, text) in (1..).zip(dockerfile.split_inclusive('\n')) {
        if stages.contains(&line) {
            copy.push_str(&declaration);
        }
        copy.push_str(text);
    }
    copy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stage_declares_the_variables_and_nothing_else_changes() {
        let text = "# syntax=docker/dockerfile:1\nARG V=3\nFROM a AS \\\n  one\nRUN x\n\nFROM one\r\nCOPY . .\n";
        let copy = trusting(text, "/b/c.crt");
        let is_ours =
            |line: &&str| line.starts_with("ARG SSL_CERT_FILE=/b/c.crt PIP_CERT=/b/c.crt ");
        let ours: Vec<_> =
            copy.lines().enumerate().filter(|(_, line)| is_ours(line)).map(|(at, _)| at).collect();
        assert_eq!(ours, [4, 8], "{copy}");
        let rest: String = copy.split_inclusive('\n').filter(|line| !is_ours(line)).collect();
        assert_eq!(rest, text);
    }

    #[test]
    fn the_system_s_authorities_stay_trusted_and_the_bento_stays_as_it_is() {
        let home = tempfile::tempdir().unwrap();
        let bento = home.path().join("bento");
        fs::create_dir(&bento).unwrap();
        fs::write(bento.join("Dockerfile"), "FROM a\nRUN x\n").unwrap();
        fs::write(home.path().join("system"), "SYSTEM").unwrap();
        let copy = lay_out(&bento, "Dockerfile", b"OWN\n", &home.path().join("system")).unwrap();
        assert_eq!(copy, home.path().join("bento.Dockerfile"));
        assert!(fs::read_to_string(copy).unwrap().starts_with("FROM a\nARG SSL_CERT_FILE="));
        assert_eq!(
            fs::read_to_string(home.path().join("bento.authorities.crt")).unwrap(),
            "SYSTEM\nOWN\n"
        );
        assert_eq!(fs::read_to_string(bento.join("Dockerfile")).unwrap(), "FROM a\nRUN x\n");
        assert_eq!(fs::read_dir(&bento).unwrap().count(), 1);
    }
}
