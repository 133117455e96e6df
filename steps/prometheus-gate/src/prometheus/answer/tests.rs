use super::*;
use crate::time::after;

fn garbled(body: &str) -> String {
    match parse(body.as_bytes()) {
        Err(PrometheusError::Garbled(why)) => why,
        other => panic!("{body} is believed: {other:?}"),
    }
}

/// An answer with one series of one point, and something put in or replaced.
fn sound() -> String {
    r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"a":"b"},"values":[[1,"2"]]}]}}"#.to_owned()
}

#[test]
fn numbers_come_as_text_and_may_be_no_numbers() {
    let body = r#"{"status":"success","data":{"resultType":"matrix","result":[
        {"metric":{"a":"b"},"values":[[1.5,"5e+21"],[2,"+Inf"],[3,"-Inf"],[4,"NaN"],[5.0004,"0.0000001"]]}]}}"#;
    let series = parse(body.as_bytes()).unwrap();
    let values = &series[0].values;
    assert_eq!(
        values[..3],
        [(after(1500), 5e21), (after(2000), f64::INFINITY), (after(3000), f64::NEG_INFINITY)]
    );
    assert!(values[3].1.is_nan());
    assert_eq!(values[4], (after(5000), 1e-7));
}

#[test]
fn an_answer_that_is_whole_counts() {
    for whole in [
        sound(),
        sound() + "\n",
        sound().replace("}]}}", r#"}]},"infos":["PromQL info: x"]}"#),
        sound().replace("}]}}", r#"}]},"warnings":[]}"#),
        sound().replace("}]}}", r#"}]},"warnings":null,"isPartial":null}"#),
        sound().replace(r#""data""#, r#""isPartial":false,"data""#),
        sound().replace(r#""data""#, r#""stats":{"seriesFetched":"2"},"data""#),
        // The type may come after what it is the type of.
        r#"{"data":{"result":[{"values":[[1,"2"]],"metric":{"a":"b"}}],"resultType":"matrix"},"status":"success"}"#.to_owned(),
    ] {
        let series = parse(whole.as_bytes()).unwrap_or_else(|why| panic!("{whole}: {why}"));
        assert_eq!(series.len(), 1, "{whole}");
        assert_eq!(series[0].values, [(after(1000), 2.0)], "{whole}");
        assert_eq!(series[0].labels["a"], "b", "{whole}");
    }
}

#[test]
fn an_empty_answer_has_no_series() {
    let body = r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#;
    assert_eq!(parse(body.as_bytes()).unwrap(), []);
}

/// What of a sound answer is replaced, by what, and what is told of it.
const HALVES: &[(&str, &str, &str)] = &[
    ("success", "error", "its status is `error`"),
    (r#""status":"success""#, r#""status":"error","error":"store away""#, "store away"),
    ("success", "Success", "its status is `Success`"),
    (r#""status":"success","#, "", "missing field `status`"),
    (r#""matrix""#, r#""vector""#, "a range query gave a vector"),
    (r#""matrix""#, r#""scalar""#, "a range query gave a scalar"),
    (r#""matrix""#, r#""string""#, "a range query gave a string"),
    (r#""matrix""#, r#""streams""#, "unknown variant `streams`"),
    (r#""resultType":"matrix","#, "", "missing field `resultType`"),
    (
        r#""result":[{"metric":{"a":"b"},"values":[[1,"2"]]}]"#,
        r#""result":null"#,
        "invalid type: null",
    ),
    (r#","result":[{"metric":{"a":"b"},"values":[[1,"2"]]}]"#, "", "missing field `result`"),
    (r#""metric":{"a":"b"},"#, "", "missing field `metric`"),
    (r#","values":[[1,"2"]]"#, "", "a series has no values"),
    (r#"[1,"2"]"#, r#"[1,"two"]"#, "a value is not a number"),
    (r#"[1,"2"]"#, "[1,2]", "expected a number as text"),
    (r#"[1,"2"]"#, "[1]", "invalid length 1"),
    (r#"[1,"2"]"#, r#"[1,"2",3]"#, "trailing characters"),
    (r#"[1,"2"]"#, r#"[1e300,"2"]"#, "a time is out of range"),
    (r#"[1,"2"]"#, r#"[1e999,"2"]"#, "number out of range"),
    (r#"[1,"2"]"#, r#"["1","2"]"#, "invalid type: string"),
    (r#"[1,"2"]"#, r#"[null,"2"]"#, "invalid type: null"),
    (r#"[1,"2"]"#, r#"[1,"2"],[1,"3"]"#, "out of order"),
    (r#"[1,"2"]"#, r#"[2,"2"],[1,"3"]"#, "out of order"),
    (r#"{"a":"b"}"#, r#"{"a":"b","a":"c"}"#, "a label twice"),
    (r#"{"a":"b"}"#, r#"{"a":1}"#, "invalid type: integer"),
    (r#"{"metric""#, r#"{"metric":{"a":"b"},"values":[[1,"3"]]},{"metric""#, "the same labels"),
    (r#""data""#, r#""status":"success","data""#, "duplicate field `status`"),
    (r#""data""#, r#""isPartial":true,"isPartial":false,"data""#, "duplicate field `isPartial`"),
    (r#""result":"#, r#""result":[],"result":"#, "duplicate field `result`"),
    (r#""data""#, r#""isPartial":"true","data""#, "invalid type: string"),
    (r#""data""#, r#""warnings":"away","data""#, "invalid type: string"),
    ("}]}}", "}]}}{}", "trailing characters"),
    ("}]}}", "}]}", "EOF while parsing"),
    (r#""values":[[1,"2"]]}]}}"#, r#""val"#, "EOF while parsing"),
];

#[test]
fn half_an_answer_is_none() {
    for (from, to, why) in HALVES {
        let body = sound().replacen(from, to, 1);
        assert_ne!(body, sound(), "`{from}` is not in it");
        let told = garbled(&body);
        assert!(told.contains(why), "{body}: {told}");
    }
    for (body, why) in [
        ("", "it is empty"),
        ("\r\n ", "it is empty"),
        ("null", "invalid type: null"),
        ("[]", "invalid length 0"),
        (r#"{"status":"success"}"#, "it has no data"),
        (r#"{"status":"success","data":null}"#, "it has no data"),
        (r#"{"status":"success","data":[]}"#, "invalid length 0"),
    ] {
        let told = garbled(body);
        assert!(told.contains(why), "{body}: {told}");
    }
}

#[test]
fn an_answer_with_a_warning_is_not_evidence() {
    for (to, told) in [
        (r#""warnings":["a store is away"],"data""#, "a store is away"),
        (r#""isPartial":true,"data""#, "the answer is partial (`isPartial`)"),
    ] {
        let body = sound().replace(r#""data""#, to);
        for parse in [parse, parse_instant] {
            let Err(PrometheusError::Warned(warning)) = parse(body.as_bytes()) else {
                panic!("{body}")
            };
            assert_eq!(warning, told);
        }
    }
}

#[test]
fn an_instant_query_gives_any_type_but_a_string() {
    let answer = |kind: &str, result: &str| {
        let data = format!(r#"{{"resultType":"{kind}","result":{result}}}"#);
        parse_instant(format!(r#"{{"status":"success","data":{data}}}"#).as_bytes())
    };
    for (kind, result) in [
        ("scalar", r#"[1,"2"]"#),
        ("vector", r#"[{"metric":{},"value":[1,"2"]}]"#),
        ("matrix", r#"[{"metric":{},"values":[[1,"2"]]}]"#),
    ] {
        assert_eq!(answer(kind, result).unwrap()[0].values, [(after(1000), 2.0)], "{kind}");
    }
    assert!(matches!(answer("string", r#"[1,"x"]"#), Err(PrometheusError::Query(_))));
    assert!(answer("vector", r#"[{"metric":{}}]"#).is_err());
    assert!(
        answer("vector", r#"[{"metric":{},"value":[1,"2"]},{"metric":{},"value":[1,"3"]}]"#)
            .is_err()
    );
    assert!(
        answer("vector", r#"[{"metric":{},"histogram":[1,{}]}]"#).unwrap()[0].values.is_empty()
    );
}

#[test]
fn only_a_scalar_is_a_clock() {
    let answer =
        |data: &str| parse_clock(format!(r#"{{"status":"success","data":{data}}}"#).as_bytes());
    assert_eq!(
        answer(r#"{"resultType":"scalar","result":[1,"1795521600.5"]}"#).unwrap(),
        after(1_795_521_600_500)
    );
    for wrong in [
        r#"{"resultType":"vector","result":[]}"#,
        r#"{"resultType":"scalar","result":[1,"NaN"]}"#,
        r#"{"resultType":"scalar","result":[1,"+Inf"]}"#,
        r#"{"resultType":"scalar","result":[]}"#,
    ] {
        assert!(answer(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn html_is_shown_as_what_it_is() {
    let told = garbled("<html>\n<body>Please log in</body></html>");
    assert!(told.ends_with(": <html> | <body>Please log in</body></html>"), "{told}");
}

#[test]
fn a_body_is_recorded_on_one_line() {
    let body = "{\n  \"a\": \"b\\nc\"\r\n}\n";
    assert_eq!(raw(body.into()).unwrap().get(), "{   \"a\": \"b\\nc\"  }");
}
