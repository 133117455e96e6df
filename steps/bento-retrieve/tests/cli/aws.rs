//! Profiles, credentials, regions and certificates, as the AWS tools have them.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

use tempfile::TempDir;

use crate::{
    run::{Ended, Run, command, retrieve_from, served, sum},
    support::{bento, server::Server},
};

#[test]
fn credentials_may_be_files_in_a_folder() {
    let run = served([]);
    fs::write(run.home.path().join("result.none"), "").unwrap();
    let folder = run.home.path().join("result.aws");
    fs::create_dir(&folder).unwrap();
    let ended = |run: &Run| {
        let mut command = run.command();
        command
            .env_remove("AWS_ACCESS_KEY_ID")
            .env_remove("AWS_SECRET_ACCESS_KEY")
            .arg("--credentials=result.aws");
        run.ended(command.output().unwrap())
    };
    let without = ended(&run);
    assert!(without.stderr.contains("there are no credentials"), "{}", without.stderr);
    fs::write(
        folder.join("credentials"),
        "[default]\naws_access_key_id = a\naws_secret_access_key = b\n",
    )
    .unwrap();
    run.assert_whole(&ended(&run));
}

/// Puts a key and a certificate for these hosts into a new folder, and gives the authority that signed it, in PEM.
fn certify(folder: &Path, hosts: &[&str]) -> String {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    fs::create_dir(folder).unwrap();
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let hosts: Vec<_> = hosts.iter().map(ToString::to_string).collect();
    let certificate = CertificateParams::new(hosts).unwrap().signed_by(&key, &authority).unwrap();
    fs::write(folder.join("key"), key.serialize_pem()).unwrap();
    fs::write(folder.join("certificate"), certificate.pem()).unwrap();
    authority.pem()
}

/// AWS, as far as it is needed, behind a proxy of its own. The bucket `bentos` is in eu-west-1.
struct Aws {
    home: TempDir,
    server: Child,
    port: String,
    lines: BufReader<ChildStdout>,
}

impl Aws {
    fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("tls");
        let hosts =
            ["us-east-1", "us-west-2", "eu-west-1"].map(|r| format!("*.s3.{r}.amazonaws.com"));
        let mut hosts: Vec<_> = hosts.iter().map(String::as_str).collect();
        hosts.push("portal.sso.us-east-1.amazonaws.com");
        fs::write(home.path().join("ca.crt"), certify(&folder, &hosts)).unwrap();
        fs::write(folder.join("archive"), bento("iris", "v1")).unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/aws.py");
        let mut python = Command::new("python3");
        python.arg(script).arg("archive").current_dir(&folder).stdout(Stdio::piped());
        let mut server = python.spawn().unwrap();
        let mut lines = BufReader::new(server.stdout.take().unwrap());
        let mut port = String::new();
        lines.read_line(&mut port).unwrap();
        Self { home, server, port: port.trim().into(), lines }
    }

    /// Retrieves with these files of the AWS tools and no keys but theirs.
    fn command(&self, config: &str) -> Command {
        let folder = self.home.path().join(".aws");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("config"), config).unwrap();
        let mut command = command();
        command.current_dir(self.home.path()).args(["--bento=iris:v1", "--retries=1"]);
        command.args(["--store=s3://bentos", "--into=bento", "--ca-bundle=ca.crt"]);
        command.env("HTTPS_PROXY", format!("http://127.0.0.1:{}", self.port));
        command.env("NO_PROXY", "127.0.0.1").env("HOME", self.home.path());
        for key in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"] {
            command.env_remove(key);
        }
        command
    }

    /// Runs it, and gives what it said and what was asked of AWS meanwhile.
    fn run(mut self, mut command: Command) -> (Ended, Vec<String>) {
        let output = command.output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        self.server.kill().unwrap();
        self.server.wait().unwrap();
        let asked = self.lines.lines().map_while(Result::ok).collect();
        assert!(!stderr.contains("s3cr3t"), "{stderr}");
        (Ended { code: output.status.code(), stderr }, asked)
    }
}

const LOADED: &str = "bentos.s3.eu-west-1.amazonaws.com /iris/v1.tar.gz";

#[test]
fn at_aws_the_bucket_s_region_is_found_where_none_is_set() {
    let keys = |command: &mut Command| {
        command.envs([("AWS_ACCESS_KEY_ID", "user"), ("AWS_SECRET_ACCESS_KEY", "s3cr3t")]);
    };
    let aws = Aws::start();
    let mut command = aws.command("");
    keys(&mut command);
    let (ended, asked) = aws.run(command);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("no region is set; the bucket is in `eu-west-1`"),
        "{}",
        ended.stderr
    );
    let head = "HEAD bentos.s3.us-east-1.amazonaws.com / user us-east-1 s3";
    assert_eq!(asked, [head.to_owned(), format!("GET {LOADED} user eu-west-1 s3")]);

    let aws = Aws::start();
    let mut command = aws.command("[default]\nregion = us-west-2\n");
    keys(&mut command);
    let (ended, _) = aws.run(command);
    assert!(ended.stderr.contains("hint: set AWS_REGION to `eu-west-1`"), "{}", ended.stderr);
}

#[test]
fn a_session_of_sso_lends_the_keys_and_without_one_it_says_how_to_log_in() {
    let session = "[profile lab]\nregion = eu-west-1\nsso_session = lab\nsso_account_id = 1\nsso_role_name = reader\n\
                   [sso-session lab]\nsso_region = us-east-1\nsso_start_url = https://lab.example/start\n";
    let older = "[profile lab]\nregion = eu-west-1\nsso_account_id = 1\nsso_role_name = reader\n\
                 sso_region = us-east-1\nsso_start_url = https://lab.example/start\n";
    for (config, name) in [(session, "lab"), (older, "https://lab.example/start")] {
        let aws = Aws::start();
        let cache = aws.home.path().join(".aws/sso/cache");
        fs::create_dir_all(&cache).unwrap();
        let token = r#"{"accessToken": "a-token", "expiresAt": "2100-01-01T00:00:00Z"}"#;
        fs::write(cache.join(format!("{}.json", sum("sha1sum", name.as_bytes()))), token).unwrap();
        let mut command = aws.command(config);
        command.env("AWS_PROFILE", "lab");
        let (ended, asked) = aws.run(command);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let portal = "GET portal.sso.us-east-1.amazonaws.com /federation/credentials";
        assert_eq!(asked, [portal.to_owned(), format!("GET {LOADED} lent eu-west-1 s3")]);

        let aws = Aws::start();
        let mut command = aws.command(config);
        command.arg("--profile=lab"); // which goes before the keys of the environment
        command.envs([("AWS_ACCESS_KEY_ID", "other"), ("AWS_SECRET_ACCESS_KEY", "s3cr3t")]);
        let (ended, asked) = aws.run(command);
        assert_eq!((ended.code, asked.len()), (Some(1), 0), "{}", ended.stderr);
        assert!(ended.stderr.contains("there are no credentials"), "{}", ended.stderr);
        assert!(ended.stderr.contains("hint: log in with `aws sso login`"), "{}", ended.stderr);
    }
}

#[test]
fn a_program_that_prints_keys_is_asked_and_missed_where_there_is_none() {
    let keys = r#"{"Version": 1, "AccessKeyId": "made", "SecretAccessKey": "s3cr3t"}"#;
    let config = "[default]\nregion = eu-west-1\ncredential_process = cat keys.json\n";
    let aws = Aws::start();
    fs::write(aws.home.path().join("keys.json"), keys).unwrap();
    let mut command = aws.command(config);
    command.env("PATH", std::env::var_os("PATH").unwrap());
    let (ended, asked) = aws.run(command);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(asked, [format!("GET {LOADED} made eu-west-1 s3")]);

    let aws = Aws::start();
    let mut command = aws.command(config);
    command.env("PATH", "/nonexistent"); // as in the image
    let (ended, asked) = aws.run(command);
    assert_eq!((ended.code, asked.len()), (Some(1), 0), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("hint: the profile's `credential_process` runs a program"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_store_s_address_and_style_come_from_the_files_of_the_aws_tools_too() {
    // Through a proxy it is seen what is asked for, and no name needs to be known.
    let asked = |config: &str, env: &[(&str, &str)], flags: &[&str]| {
        let server = Server::start([]);
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("config"), config).unwrap();
        let mut command = command();
        command.args(["--store=s3://bentos", "--bento=iris:v1", "--into=bento", "--retries=0"]);
        command.args(flags).current_dir(home.path()).env_remove("NO_PROXY");
        command.env("AWS_CONFIG_FILE", home.path().join("config")).env("HTTP_PROXY", server.url());
        let output = command.envs(env.iter().copied()).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        server.seen().first().cloned().unwrap_or(stderr)
    };
    let path = |host: &str| format!("http://{host}/bentos/iris/v1.tar.gz");
    let own_host = |host: &str| format!("http://bentos.{host}/iris/v1.tar.gz");
    let file = "[default]\nendpoint_url = http://file.test\n";
    let all = ("AWS_ENDPOINT_URL", "http://all.test");
    let s3 = ("AWS_ENDPOINT_URL_S3", "http://s3.test");
    assert_eq!(asked(file, &[], &[]), path("file.test"));
    assert_eq!(asked(file, &[all], &[]), path("all.test"));
    assert_eq!(asked(file, &[all, s3], &[]), path("s3.test"));
    assert_eq!(asked(file, &[all, s3], &["--s3-endpoint=http://typed.test"]), path("typed.test"));
    let virtual_hosts = format!("{file}s3 =\n  addressing_style = virtual\n");
    assert_eq!(asked(&virtual_hosts, &[], &[]), own_host("file.test"));
    assert_eq!(asked(&virtual_hosts, &[s3], &[]), own_host("s3.test"));
    assert_eq!(asked(&virtual_hosts, &[], &["--s3-path-style"]), path("file.test"));
    assert_eq!(asked(file, &[], &["--s3-path-style=false"]), own_host("file.test"));
    let services =
        "[profile lab]\nservices = lab\n[services lab]\ns3 =\n  endpoint_url = http://lab.test\n";
    assert_eq!(asked(services, &[], &["--profile=lab", "--anonymous"]), path("lab.test"));
    assert_eq!(asked(services, &[("AWS_PROFILE", "lab")], &[]), path("lab.test"));
    let aws = ("AWS_ENDPOINT_URL_S3", "http://s3.eu-west-1.amazonaws.com");
    assert_eq!(asked(file, &[aws], &[]), own_host("s3.eu-west-1.amazonaws.com"));

    let bad = asked("", &[("AWS_ENDPOINT_URL_S3", "http://user:s3cr3t@s3.test")], &[]);
    assert!(
        bad.contains("the endpoint of the store is not valid") && !bad.contains("s3cr3t"),
        "{bad}"
    );
}

#[test]
fn a_profile_that_is_not_there_is_told() {
    let run = served([]);
    let ended = run.ended(run.command().arg("--profile=lab").output().unwrap());
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("have no profile `lab`"), "{}", ended.stderr);
    let mut command = run.command();
    command.env_remove("AWS_ACCESS_KEY_ID").env("AWS_PROFILE", "lab");
    let ended = run.ended(command.output().unwrap());
    run.assert_nothing(&ended);
    assert!(ended.stderr.contains("there are no credentials"), "{}", ended.stderr);
    assert_eq!(run.server.seen(), Vec::<String>::new());
}

#[test]
fn a_store_without_a_region_is_asked_as_in_one_that_all_take() {
    let run = served([]);
    let mut command = run.command();
    let ended = run.ended(command.env_remove("AWS_REGION").output().unwrap());
    run.assert_whole(&ended);
    assert!(
        ended.stderr.starts_with("no region is set; asking as in `us-east-1`"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_server_with_a_certificate_of_one_s_own_is_trusted_by_its_authority_alone() {
    let run = served([]);
    let folder = run.home.path().join("result.trust");
    let authority = certify(&folder, &["localhost"]);
    fs::write(folder.join("v1.tar.gz"), bento("iris", "v1")).unwrap();
    let script = "import http.server, ssl
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain('certificate', 'key')
server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), http.server.SimpleHTTPRequestHandler)
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
server.serve_forever()";
    let mut python = Command::new("python3");
    python.args(["-c", script]).current_dir(&folder).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut python = python.spawn().unwrap();
    let mut port = String::new();
    BufReader::new(python.stdout.as_mut().unwrap()).read_line(&mut port).unwrap();
    let from = format!("https://localhost:{}/v1.tar.gz", port.trim());

    let stranger = retrieve_from(&run, &from, &["--credentials=result.trust"]);
    run.assert_nothing(&stranger);
    insta::assert_snapshot!(stranger.stderr.replace(port.trim(), "[port]"));
    fs::write(folder.join("ca.crt"), "not PEM").unwrap();
    assert_eq!(retrieve_from(&run, &from, &["--credentials=result.trust"]).code, Some(1));
    fs::write(folder.join("ca.crt"), authority).unwrap();
    run.assert_whole(&retrieve_from(&run, &from, &["--credentials=result.trust"]));
    let again = ["--into=result.again", "--ca-bundle=result.trust/ca.crt"];
    let mut bundled = command();
    bundled.current_dir(run.home.path()).args(["--from", &from]).args(again);
    assert_eq!(run.ended(bundled.output().unwrap()).code, Some(0));
    python.kill().unwrap();
    python.wait().unwrap();
}
