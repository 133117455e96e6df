//! What is particular to zips.

use std::{fs, path::Path};

use crate::{
    support::{listing, zip},
    yard::{LIMITS, Yard, unpacked},
};

#[test]
fn a_zip_gives_the_files_that_python_sees_in_it() {
    let yard = Yard::new();
    let home = tempfile::tempdir().unwrap();
    let script = "import sys,zipfile
z = zipfile.ZipFile(sys.argv[1], 'w', zipfile.ZIP_DEFLATED)
z.mkdir('src')
z.writestr('bento.yaml', 'name: iris\\n')
z.writestr('src/é.py', 'print()\\n' * 9000)
z.writestr(zipfile.ZipInfo('src/stored'), bytes(70000))
info = zipfile.ZipInfo('env/entrypoint.sh'); info.external_attr = 0o100755 << 16
with z.open(info, 'w', force_zip64=True) as f: f.write(b'#!/bin/sh')
z.close()
zipfile.ZipFile(sys.argv[1]).extractall(sys.argv[2])";
    let [zip, by_python] = ["b.zip", "python"].map(|name| home.path().join(name));
    let run = |program: &str, args: &[&Path]| {
        assert!(std::process::Command::new(program).args(args).status().unwrap().success());
    };
    run("python3", &["-c".as_ref(), script.as_ref(), &zip, &by_python]);
    yard.unpack(&fs::read(zip).unwrap(), &LIMITS).unwrap();
    run("diff", &["-r".as_ref(), &by_python, &yard.bento()]);
    assert_eq!(listing(&yard.bento())["env/entrypoint.sh"], "FILE 755 9");
    assert_eq!(listing(&yard.bento())["src"], "DIR 755");
}

#[test]
fn a_zip_that_says_two_things_is_refused() {
    let failure = |zip: Vec<u8>| unpacked(&zip).unwrap_err().to_string();
    let text = b"name: iris\n".as_slice();
    let whole = zip::Zip::of([zip::file("bento.yaml", text), zip::file("src/x", text)]);
    assert!(unpacked(&whole.bytes()).is_ok());
    let with = |name: &str| zip::Zip::of([zip::file(name, text)]).bytes();
    let changed = |change: fn(&mut zip::Entry)| {
        let mut entry = zip::file("src/x", b"name: iris\n");
        change(&mut entry);
        zip::Zip::of([zip::file("bento.yaml", b""), entry]).bytes()
    };
    let cut = whole.bytes()[..whole.bytes().len() - 1].to_vec();
    insta::assert_snapshot!(
        [
            failure(cut),
            failure([&whole.bytes()[..], b"x"].concat()),
            failure(with("../x")),
            failure(with("/etc/x")),
            failure(zip::Zip::of([zip::file("a", text), zip::file("A", text)]).bytes()),
            failure(changed(|entry| entry.crc ^= 1)),
            failure(changed(|entry| entry.local_name = b"src/y".to_vec())),
            failure(changed(|entry| entry.flags = 1)),
            failure(changed(|entry| entry.mode = 0o120_777)),
            failure(changed(|entry| entry.mode = 0o010_644)),
            failure(changed(|entry| entry.method = 12)),
            failure(changed(|entry| entry.unpacked += 1)),
            failure(changed(|entry| entry.unpacked -= 1)),
            failure(changed(|entry| entry.packed -= 1)),
            failure(changed(|entry| entry.shares_data_of_first = true)),
            failure(changed(|entry| entry.unpacked = 7 << 29)),
            failure(whole.claiming(3)),
            failure(whole.claiming(60_000)),
        ]
        .join("\n")
    );
}
