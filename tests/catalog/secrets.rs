//! What is typed or set for a binary may be a secret, and goes nowhere but where it is meant for: not
//! into help, errors, logs, results, evidence or another server, whatever goes wrong on the way.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::{Command, Stdio},
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};

use crate::{
    arguments::{NOBODY, base},
    binaries::{Flag, help, options, path, subcommands, variables},
    echo_server::echo,
    faults::Faults,
    tree::crates,
};

/// The secret. No text of ours has it.
const MARK: &str = "Zq7vW3markXk9";

/// Values that a step says by intent, by the word that stands for them in the help or by their flag,
/// and why nothing secret can be meant by them. All others are never said.
const SAID: [(&[&str], &str); 5] = [
    (
        &["NAME", "SERVICE", "NAMESPACE", "REVISION", "VERSION", "UID", "ID", "PREFIX", "IMAGE"],
        "names what the step works on, and anyone who sees the cluster sees it",
    ),
    (&["FILE", "DIR", "FOLDER", "PATH"], "a place, at which a secret may lie; the place is none"),
    (
        &[
            "--type",
            "--source",
            "--subject",
            "--time",
            "--dataschema",
            "--datacontenttype",
            "--extension",
            "--field",
            "--data",
        ],
        "is the event, which is sent, and shown where there is no sink",
    ),
    (
        &["PROMQL", "CONDITION", "FORMULA"],
        "is the question, without which the evidence would prove nothing",
    ),
    (
        &["STATE"],
        "is what another step of the release says, and shown as why something is not judged",
    ),
];

/// A bare word for these is the name of a file, which an error names.
const FILES: [&str; 2] = ["ARCHIVE", "SPEC"];

fn is_said(flag: &Flag) -> bool {
    SAID.iter().any(|(words, _)| {
        words.contains(&flag.value.as_str()) || words.contains(&flag.name.as_str())
    })
}

/// The shapes in which secrets are typed, right ones and wrong ones.
fn shapes(flag: &Flag) -> Vec<String> {
    let mut shapes = vec![
        format!("https://ada:{MARK}@{NOBODY}/p?sig={MARK}&{MARK}#{MARK}"),
        format!("http:/ada:{MARK}@{NOBODY}/?{MARK}"),
        format!("{MARK}://{NOBODY}"),
        format!("s3://{MARK}:{MARK}@bucket"),
        format!("Authorization: Bearer {MARK}"),
        format!("Authorization=Bearer {MARK}"),
        format!("Bad name {MARK}=7"),
        format!("{{\"extensions\": \"{MARK}\"}}"),
    ];
    if !FILES.contains(&flag.value.as_str()) {
        shapes.push(MARK.to_owned());
    }
    shapes
}

/// What a process printed, and wrote below `new`.
fn run(binary: &str, line: &[String], variables: &[(&str, &str)]) -> String {
    let home = tempfile::tempdir().expect("a folder");
    fs::create_dir(home.path().join("new")).expect("a folder");
    fs::write(home.path().join("spec.yaml"), "criteria: [{query: up, when: value == 1}]\n")
        .expect("a file");
    fs::write(home.path().join("token"), MARK).expect("a file");
    let mut child = Command::new(path(binary))
        .args(line)
        .current_dir(home.path())
        .env_clear()
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "example")
        .env("KUBECONFIG", "/nowhere")
        .env("STEP_LOG", "debug")
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .stdout(fs::File::create(home.path().join("new/stdout")).expect("a file"))
        .stderr(fs::File::create(home.path().join("new/stderr")).expect("a file"))
        .spawn()
        .unwrap_or_else(|error| panic!("failed to run `{binary}`: {error}"));
    let started = Instant::now();
    while child.try_wait().expect("a child").is_none() {
        if started.elapsed() > Duration::from_mins(1) {
            child.kill().expect("a child");
            panic!("`{binary} {}` does not end", line.join(" "));
        }
        thread::sleep(Duration::from_millis(2));
    }
    texts(&home.path().join("new"))
}

/// All files below a folder, as text.
fn texts(folder: &Path) -> String {
    let entries = fs::read_dir(folder).expect("a folder");
    entries.fold(String::new(), |text, entry| {
        let path = entry.expect("an entry").path();
        let more = if path.is_dir() {
            texts(&path)
        } else {
            String::from_utf8_lossy(&fs::read(&path).unwrap_or_default()).into_owned()
        };
        text + &more + "\n"
    })
}

/// The line that has the secret, as it is or as `Authorization: Basic` sends it.
fn leak(text: &str) -> Option<&str> {
    let sent = BASE64.encode(format!("ada:{MARK}"));
    let is_leak =
        |line: &&str| line.to_lowercase().contains(&MARK.to_lowercase()) || line.contains(&sent);
    text.lines().find(is_leak)
}

/// Each binary with each of its subcommands; the binary itself is the empty one.
fn commands() -> Vec<(String, String)> {
    let binaries: BTreeSet<String> = ["steps", "services"].into_iter().flat_map(crates).collect();
    let with_subcommands = |binary: String| {
        let subcommands = subcommands(&help(&binary));
        let all = std::iter::once(String::new()).chain(subcommands);
        all.map(move |subcommand| (binary.clone(), subcommand)).collect::<Vec<_>>()
    };
    binaries.into_iter().flat_map(with_subcommands).collect()
}

fn line(subcommand: &str, words: impl IntoIterator<Item = String>) -> Vec<String> {
    let command = (!subcommand.is_empty()).then(|| subcommand.to_owned());
    command.into_iter().chain(words).collect()
}

/// The flags of a command that are not tried with another one: those of making an image are parsed by the same
/// lines in each of these.
fn own_options(binary: &str, subcommand: &str) -> Vec<Flag> {
    let mut own = options(&command_help(binary, subcommand));
    if binary == "bento-image" && ["plan", "prepare", "finish"].contains(&subcommand) {
        let shared = options(&command_help(binary, "assemble"));
        own.retain(|flag| shared.iter().all(|other| other.name != flag.name));
    }
    own
}

fn command_help(binary: &str, subcommand: &str) -> String {
    run(binary, &line(subcommand, ["--help".to_owned()]), &[])
}

/// A binary, its command line, and a variable with its value.
type Case = (String, Vec<String>, Option<(String, String)>);

/// Looks for the secret in what each case prints and writes, two processes at a time.
fn search(cases: Vec<Case>) {
    let faults = Mutex::new(Faults::default());
    let cases = Mutex::new(cases.into_iter());
    let next = || cases.lock().expect("no panic").next();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some((binary, line, variable)) = next() {
                    let variables: Vec<_> = variable
                        .iter()
                        .map(|(name, value)| (name.as_str(), value.as_str()))
                        .collect();
                    let told = run(&binary, &line, &variables);
                    let place = format!("{variables:?} {binary} {}", line.join(" "));
                    if let Some(line) = leak(&told) {
                        faults.lock().expect("no panic").add(place, format!("it says `{line}`"));
                    }
                }
            });
        }
    });
    faults.into_inner().expect("no panic").none();
}

#[test]
fn the_help_names_variables_and_not_what_they_hold() {
    let mut cases = Vec::new();
    for (binary, subcommand) in commands() {
        for variable in variables(&command_help(&binary, &subcommand)) {
            let line = line(&subcommand, ["--help".to_owned()]);
            cases.push((binary.clone(), line, Some((variable, MARK.to_owned()))));
        }
    }
    assert!(cases.len() > 20, "the variables are found in the help");
    search(cases);
}

#[test]
fn no_flag_repeats_a_value_that_may_be_a_secret() {
    let mut cases = Vec::new();
    for (binary, subcommand) in commands() {
        let mut add = |flag: &str, word: String| {
            let words = base(&binary, &subcommand, flag).into_iter().chain([word]);
            cases.push((binary.clone(), line(&subcommand, words), None));
        };
        for flag in own_options(&binary, &subcommand) {
            add(&flag.name, format!("{}x={MARK}", flag.name));
            if !is_said(&flag) {
                for value in shapes(&flag) {
                    add(&flag.name, format!("{}={value}", flag.name));
                }
            }
        }
        for word in ["-", "--", "--x=", "--help="] {
            add("", format!("{word}{MARK}"));
        }
        if subcommand.is_empty() {
            add("", MARK.to_owned()); // behind a subcommand it names a file
        }
    }
    assert!(cases.len() > 500, "the flags are found in the help");
    search(cases);
}

#[test]
fn no_variable_is_repeated_that_may_be_a_secret() {
    let mut cases = Vec::new();
    for (binary, subcommand) in commands() {
        let flags = own_options(&binary, &subcommand);
        for flag in flags.into_iter().filter(|flag| !is_said(flag)) {
            let Some(variable) = flag.variable.clone() else { continue };
            for value in shapes(&flag) {
                // A flag would go before its variable.
                let mut words = base(&binary, &subcommand, &flag.name);
                words.retain(|word| !word.starts_with(&format!("{}=", flag.name)));
                let line = line(&subcommand, words);
                cases.push((binary.clone(), line, Some((variable.clone(), value))));
            }
        }
        let proxy = format!("http://ada:{MARK}@{NOBODY}");
        for (variable, value) in [
            ("http_proxy", proxy.as_str()),
            ("https_proxy", &proxy),
            ("HTTPS_PROXY", &proxy),
            ("all_proxy", &proxy),
            ("AWS_SECRET_ACCESS_KEY", MARK),
            ("AWS_SESSION_TOKEN", MARK),
        ] {
            let line = line(&subcommand, base(&binary, &subcommand, ""));
            cases.push((binary.clone(), line, Some((variable.to_owned(), value.to_owned()))));
        }
    }
    search(cases);
}

/// Lines that send the secret to the server at this address, each in its own way.
fn sending(address: &str) -> Vec<(&'static str, Vec<String>)> {
    let url = format!("http://ada:{MARK}@{address}/p?sig={MARK}");
    let owned = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    let gate = |words: &[&str]| {
        let fixed = [
            "--query=up",
            "--when=value == 0",
            "--max-outage=1s",
            "--poll=1s",
            "--timeout=1s",
            "--report=new/report",
            "--result-verdict=new/verdict",
            "--result-reason=new/reason",
        ];
        ("prometheus-gate", owned(&[&fixed[..], words].concat()))
    };
    let send = |words: &[&str]| {
        let fixed = [
            "--type=t.v1",
            "--source=/s",
            "--retries=0",
            "--timeout=3s",
            "--insecure-http",
            "--result-error=new/error",
            "--result-listener-event-id=new/id",
        ];
        ("cloudevent-send", owned(&[&fixed[..], words].concat()))
    };
    let retrieve = |words: &[&str]| {
        let fixed = ["--into=new/bento", "--retries=0", "--timeout=5s"];
        ("bento-retrieve", owned(&[&fixed[..], words].concat()))
    };
    let plain = format!("http://{address}");
    vec![
        gate(&[&format!("--prometheus-url={url}")]),
        gate(&[
            &format!("--prometheus-url={plain}"),
            &format!("--header=Authorization: Bearer {MARK}"),
        ]),
        gate(&[&format!("--prometheus-url={plain}"), "--credentials=."]),
        send(&[&format!("--sink={url}")]),
        send(&[&format!("--sink={plain}/{MARK}/{MARK}")]),
        send(&[&format!("--sink={plain}"), &format!("--header=X-Key={MARK}")]),
        send(&[&format!("--sink={plain}"), "--token-file=token"]),
        retrieve(&[&format!("--from={plain}/iris.tar.gz?X-Amz-Signature={MARK}")]),
        retrieve(&[&format!("--s3-endpoint={plain}"), "--store=s3://bucket", "--bento=iris:v1"]),
        (
            "release-record",
            owned(&[
                "runs",
                &format!("--s3-endpoint={plain}"),
                "--releases=s3://bucket",
                "--retries=0",
            ]),
        ),
    ]
}

#[test]
fn a_server_that_repeats_a_secret_puts_it_into_no_log_and_no_evidence() {
    let faults = Mutex::new(Faults::default());
    let (elsewhere, at_others) = echo("404 Not Found", NOBODY);
    thread::scope(|scope| {
        for status in ["200 OK", "302 Found", "400 Bad Request", "401 Unauthorized", "500 Oh"] {
            let (faults, elsewhere) = (&faults, &elsewhere);
            scope.spawn(move || {
                let (address, heard) = echo(status, elsewhere);
                for (binary, line) in sending(&address) {
                    heard.lock().expect("no panic").clear();
                    // Of the rest, none knows by this variable what is secret.
                    let token = line.iter().any(|word| word.starts_with("--s3-endpoint"));
                    let variables = [("AWS_SESSION_TOKEN", MARK)];
                    let told = run(binary, &line, if token { &variables } else { &[] });
                    let place = format!("{binary} {} (answer {status})", line.join(" "));
                    let sent = leak(&heard.lock().expect("no panic")).is_some();
                    let mut faults = faults.lock().expect("no panic");
                    faults.unless(sent, &place, "it sends no secret, so that this tests nothing");
                    if let Some(line) = leak(&told) {
                        faults.add(&place, format!("it says `{line}`"));
                    }
                }
            });
        }
    });
    faults.into_inner().expect("no panic").none();
    let others = at_others.lock().expect("no panic");
    assert_eq!(leak(&others), None, "another server gets it");
}

#[test]
fn a_request_that_is_only_printed_has_no_secret() {
    let url = format!("https://ada:{MARK}@{NOBODY}/p?sig={MARK}#{MARK}");
    let fixed = ["--type=t.v1", "--source=/s", "--token-file=token"].map(str::to_owned);
    for form in ["http", "curl"] {
        let given =
            [format!("--sink={url}"), format!("--header=X-Key={MARK}"), format!("--print={form}")];
        let told =
            run("cloudevent-send", &fixed.iter().cloned().chain(given).collect::<Vec<_>>(), &[]);
        assert!(told.to_lowercase().contains("x-key: …"), "{told}");
        assert_eq!(leak(&told), None, "{told}");
    }
}

#[test]
fn a_line_with_a_secret_is_found() {
    assert_eq!(leak("a\nb\n"), None);
    assert!(leak(&format!("a\n{}\n", MARK.to_lowercase())).is_some());
    assert!(leak(&format!("Basic {}", BASE64.encode(format!("ada:{MARK}")))).is_some());
}
