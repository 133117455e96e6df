use proptest::prelude::*;

use super::*;

#[test]
fn nothing_of_a_text_moves_the_cursor_or_turns_the_writing() {
    assert_eq!(
        clean("\x1b]0;title\x07\x1b[31mred\u{9b}2J"),
        r"\u{1b}]0;title\u{7}\u{1b}[31mred\u{9b}2J"
    );
    assert_eq!(clean("pass\u{202e}liaf\u{2066}\u{200f}"), r"pass\u{202e}liaf\u{2066}\u{200f}");
}

#[test]
fn what_is_shown_as_nothing_is_shown() {
    assert_eq!(clean("ad\u{200d}min"), r"ad\u{200d}min");
    assert_eq!(clean("a\u{feff}\u{e0041}"), r"a\u{feff}\u{e0041}");
    assert_eq!(clean("é\u{200d}\u{200d}é"), r"é\u{200d}\u{200d}é");
}

#[test]
fn lines_become_one_that_shows_where_they_broke() {
    assert_eq!(clean("two\n\n  lines\tand\r\n"), "two | lines and");
    assert_eq!(clean("a\u{85}b\u{2028}c\u{b}d"), "a | b | c | d");
    assert_eq!(clean("it broke\n\nhint: run this"), "it broke | hint: run this");
}

#[test]
fn what_people_write_stays() {
    for text in [
        "größer als 1 %",
        "شكرا",
        "שלום",
        "日本",
        "👩‍💻",
        "❤️",
        "👩‍❤️‍👩",
        "می‌خواهم",
        "क्‍ष",
        "a\u{a0}b",
        "",
    ] {
        assert_eq!(clean(text), text);
    }
}

#[test]
fn a_long_text_says_that_it_is_cut() {
    assert_eq!(short("größe", 5), "größe");
    assert_eq!(short("größer", 5), "größ…");
    assert_eq!(within("größer", 6), "gr…");
    assert_eq!(within("größer", 8), "größer");
    assert_eq!(short("abc", 0), "");
    assert_eq!(clean(&"x".repeat(1 << 20)).chars().count(), LONGEST);
}

#[test]
fn a_complaint_about_a_document_repeats_no_value_of_it() {
    let complaint = r#"unknown field `urk` beside string "a \"s3cr3t\"", expected a map at line 1"#;
    assert_eq!(
        without_values(complaint),
        r#"unknown field `urk` beside string "…", expected a map at line 1"#
    );
    assert_eq!(without_values(r#"string "s3cr3t"#), "string \"");
}

#[test]
fn what_triggers_wrote_is_read_as_it_was() {
    assert_eq!(from_trigger("7 $$(params.x) $ ("), "7 $(params.x) $ (");
}

#[test]
fn a_sha256_has_64_lower_case_hexadecimal_digits() {
    let digits = hex(&[0x1f; 32]);
    assert!(is_sha256(&digits));
    for not in
        [&digits[1..], &digits.to_uppercase(), &digits.replace('1', "g"), "", &"é".repeat(32)]
    {
        assert!(!is_sha256(not), "{not}");
    }
}

#[test]
fn lines_stay_lines() {
    assert_eq!(clean_lines("{\r\n  \"a\": \"\x1b\"\n}\n"), "{\n  \"a\": \"\\u{1b}\"\n}");
}

#[test]
fn an_address_is_shown_without_what_may_be_secret() {
    for (url, shown) in [
        ("http://prometheus:9090", "http://prometheus:9090"),
        ("https://me:s3cr3t@host:8080/a/b", "https://host:8080/a/b"),
        ("https://me:s3@cr3t@host/a@b", "https://host/a@b"),
        ("https://host/a?sig=s3cr3t&x=1#s3cr3t", "https://host/a?…"),
        ("https://host#s3cr3t", "https://host#…"),
        ("http://host?s3cr3t@x/", "http://host?…"),
        ("host/\u{202e}?s3cr3t", r"host/\u{202e}?…"),
    ] {
        assert_eq!(address(url), shown, "{url}");
    }
}

#[test]
fn the_origin_of_an_address_is_shown_without_its_path() {
    for (url, shown) in [
        ("https://hooks.example/services/T0/s3cr3t", "https://hooks.example/…"),
        ("https://s3cr3t@hooks.example:8443/s3cr3t", "https://hooks.example:8443/…"),
        ("http://el-canary:8080/", "http://el-canary:8080/"),
        ("http://el-canary:8080", "http://el-canary:8080"),
        ("http://host?s3cr3t", "http://host/…"),
        ("s3cr3t", "…"),
    ] {
        assert_eq!(origin(url), shown, "{url}");
    }
}

fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{200b}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0001}'..='\u{e007f}')
}

/// Any text, with more of what is dangerous than chance would bring.
fn hostile() -> impl Strategy<Value = String> {
    let bad = prop::sample::select(vec![
        "\x1b]0;t\x07",
        "\x1b[2J",
        "\r",
        "\n",
        "\t",
        " ",
        "\u{202e}",
        "\u{2066}",
        "\u{200b}",
        "\u{200d}",
        "\u{fe0f}",
        "\u{9b}",
        "\u{2028}",
        "\u{feff}",
        "\u{e0041}",
        "…",
        "👩",
        "ش",
    ]);
    let part = prop_oneof![any::<String>(), bad.prop_map(str::to_owned)];
    prop::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn whatever_it_was_it_is_one_line_that_does_nothing(text in hostile()) {
        prop_assert!(!clean(&text).contains(acts));
        prop_assert!(!clean_lines(&text).contains(|c| c != '\n' && acts(c)));
    }

    #[test]
    fn whatever_it_was_it_is_as_short_as_was_asked(text in hostile(), most in 1..40_usize) {
        prop_assert!(short(&text, most).chars().count() <= most);
        prop_assert!(within(&text, most.max(3)).len() <= most.max(3));
    }

    #[test]
    fn what_is_clean_stays_as_it_is(text in hostile(), most in 1..40_usize) {
        let line = clean(&text);
        prop_assert_eq!(clean(&line), line);
        let line = short(&text, most);
        prop_assert_eq!(short(&line, most), line);
    }

    #[test]
    fn printable_ascii_stays_as_it_is(text in "[!-~]([ -~]{0,40}[!-~])?") {
        prop_assert_eq!(clean(&text), text);
    }

    #[test]
    fn json_that_no_terminal_obeys_has_the_same_value(text in hostile()) {
        let pretty = serde_json::to_string_pretty(&[&text]).unwrap();
        let safe = json(&pretty);
        prop_assert!(!safe.contains(|c| c != '\n' && acts(c)));
        prop_assert_eq!(serde_json::from_str::<[String; 1]>(&safe).unwrap(), [text]);
    }

    #[test]
    fn no_part_of_a_user_or_a_query_is_in_an_address(
        user in "zz[a-y@/]{0,9}", query in "zz[a-y=&/?@:#]{0,9}", host in "[a-y]{1,5}"
    ) {
        let user = user.replace('/', "%2f");
        let url = format!("https://{user}:zz@{host}/a?{query}#zz");
        prop_assert_eq!(address(&url), format!("https://{host}/a?…"));
        prop_assert_eq!(origin(&url), format!("https://{host}/…"));
    }
}
