//! Which requests a flow admits, with every way round it that we know of.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use policy_plan::{Admission, MAX_PATH_BYTES, MAX_QUERY_BYTES, QueryRule};
use proptest::prelude::*;

fn paths(patterns: &[&str]) -> Admission {
    Admission { methods: vec!["GET".into()], paths: patterns.iter().map(|&p| p.into()).collect(), query: None }
}

fn verdict(admission: &Admission, path: &str) -> &'static str {
    admission.check("GET", path, None).map_or_else(|refusal| refusal.code, |()| "ok")
}

#[test]
fn patterns_cover_exactly_what_they_say() {
    let table = [
        ("/a/b", "/a/b", true),
        ("/a/b", "/a/b/", false),
        ("/a/b", "/a", false),
        ("/a/b", "/a/b/c", false),
        ("/a/b", "/A/b", false),
        ("/a/b", "/a/%62", true),
        ("/a/*", "/a/b", true),
        ("/a/*", "/a/", false),
        ("/a/*", "/a", false),
        ("/a/*", "/a/b/c", false),
        ("/a/*", "/a/urn:ngsi-ld:Road:1", true),
        ("/a/*/attrs", "/a/x/attrs", true),
        ("/a/*/attrs", "/a/x/y/attrs", false),
        ("/a/**", "/a", true),
        ("/a/**", "/a/", true),
        ("/a/**", "/a/b/c/d", true),
        ("/a/**", "/ab", false),
        ("/a/**", "/", false),
        ("/**", "/", true),
        ("/**", "/x/y", true),
        ("/", "/", true),
        ("/", "/a", false),
        ("/a/**/b", "/a/x/b", false),
        ("/käse", "/k%C3%A4se", true),
        ("a", "/a", false),
        ("", "/", false),
    ];
    for (pattern, path, admitted) in table {
        assert_eq!(verdict(&paths(&[pattern]), path) == "ok", admitted, "{pattern} {path}");
    }
}

#[test]
fn tricks_are_refused_even_where_everything_is_admitted() {
    let everything = paths(&["/**"]);
    for path in [
        "",
        "a",
        "http://other/a",
        "*",
        "/a/../b",
        "/a/..",
        "/..",
        "/../a",
        "/.",
        "/a/./b",
        "/a/%2e%2e/b",
        "/a/%2E%2e/b",
        "/a/.%2e/b",
        "/a/%2e/b",
        "/a/%252e%252e/b",
        "/a/%252e",
        "/a/%25252e",
        "/a/%%32%65",
        "//a",
        "/a//b",
        "/a//",
        "//",
        "/a\\b",
        "/a/..\\b",
        "/a%5cb",
        "/a%5C..%5Cb",
        "/a%2fb",
        "/a%2F..%2Fb",
        "/a%252fb",
        "/a%00",
        "/a%00.json",
        "/a%2500",
        "/a%0d%0aX:y",
        "/a%7f",
        "/a;b=c",
        "/a/..;/b",
        "/a%3bb",
        "/a?b",
        "/a#b",
        "/a b",
        "/a\tb",
        "/a\0b",
        "/ä",
        "/a%",
        "/a%2",
        "/a%zz",
        "/a%c0%ae%c0%ae/b",
        "/a%ff",
        "/a%e0%80%af",
    ] {
        assert_eq!(verdict(&everything, path), "path_not_safe", "{path:?}");
    }
    for path in ["/...", "/a.b", "/.well-known", "/a/..b", "/a%20b", "/a/b%3Ac", "/100%25", "/a:b,c@d!$&'()*+="] {
        assert_eq!(verdict(&everything, path), "ok", "{path:?}");
    }
    let long = format!("/{}", "a".repeat(MAX_PATH_BYTES));
    assert_eq!(verdict(&everything, &long), "request_too_long");
}

#[test]
fn methods_are_compared_as_they_are() {
    let admission = paths(&["/**"]);
    for method in ["HEAD", "POST", "get", "GET ", "", "DELETE"] {
        assert_eq!(admission.check(method, "/", None).unwrap_err().code, "method_not_admitted", "{method}");
    }
    let refusal = admission.check("DELETE", "/", None).unwrap_err();
    assert_eq!(refusal.to_string(), "the method `DELETE` is not admitted; admitted are: GET");
    assert_eq!(Admission::default().check("GET", "/", None).unwrap_err().code, "method_not_admitted");
}

#[test]
fn query_rules() {
    let rule = |name: &str, values: Option<&[&str]>, required| QueryRule {
        name: name.into(),
        values: values.map(|values| values.iter().map(|&v| v.into()).collect()),
        required,
    };
    let admission = Admission {
        query: Some(vec![rule("type", Some(&["A", "B c"]), true), rule("limit", None, false)]),
        ..paths(&["/x"])
    };
    let table = [
        (Some("type=A"), "ok"),
        (Some("type=A&limit=5"), "ok"),
        (Some("limit=5&type=A,B%20c"), "ok"),
        (Some("type=A,B+c&&"), "ok"),
        (Some("type=%41"), "ok"),
        (Some("%74ype=A"), "ok"),
        (Some("type=A&type=B+c"), "ok"),
        (Some("type=A&limit=q==1;x==2|y"), "ok"),
        (None, "query_missing"),
        (Some(""), "query_missing"),
        (Some("limit=5"), "query_missing"),
        (Some("type="), "query_not_admitted"),
        (Some("type"), "query_not_admitted"),
        (Some("type=A,"), "query_not_admitted"),
        (Some("type=A,C"), "query_not_admitted"),
        (Some("type=A&type=C"), "query_not_admitted"),
        (Some("type=a"), "query_not_admitted"),
        (Some("type=A;type=C"), "query_not_admitted"),
        (Some("type=%2541"), "query_not_admitted"),
        (Some("Type=A"), "query_not_admitted"),
        (Some("type=A&q=x"), "query_not_admitted"),
        (Some("type=A&=x"), "query_not_admitted"),
        (Some("type=A&limit=%00"), "query_not_safe"),
        (Some("type=A&limit=%0a"), "query_not_safe"),
        (Some("type=A&limit=%"), "query_not_safe"),
        (Some("type=A&limit=%c0%80"), "query_not_safe"),
        (Some("type=A&limit=a b"), "query_not_safe"),
        (Some("type=A#limit"), "query_not_safe"),
    ];
    for (query, expected) in table {
        let verdict = admission.check("GET", "/x", query).map_or_else(|refusal| refusal.code, |()| "ok");
        assert_eq!(verdict, expected, "{query:?}");
    }
    let free = paths(&["/x"]);
    assert!(free.check("GET", "/x", Some("anything=goes&really")).is_ok());
    assert_eq!(free.check("GET", "/x", Some("a=%0d%0a")).unwrap_err().code, "query_not_safe");
    let long = "a".repeat(MAX_QUERY_BYTES + 1);
    assert_eq!(free.check("GET", "/x", Some(&long)).unwrap_err().code, "request_too_long");
}

#[test]
fn faulty_patterns_are_named() {
    for (pattern, fault) in [
        ("a", "a path starts with a slash"),
        ("", "a path starts with a slash"),
        ("/a/**/b", "`**` may stand only at the end"),
        ("/a//b", "a path has no empty segment"),
        ("/a*", "`*` and `**` stand for whole segments"),
        ("/a/..", "a path has no dot segment"),
        ("/a%20b", "a path is written decoded and without backslash, semicolon, question mark or hash sign"),
    ] {
        assert_eq!(paths(&["/good/*", pattern]).faulty_path(), Some((pattern, fault)));
    }
    assert_eq!(paths(&["/", "/**", "/a/*/b", "/a/b/", "/käse/**"]).faulty_path(), None);
}

#[test]
fn messages_show_no_control_characters_and_stay_short() {
    let message = paths(&["/a"]).check(&"\u{7}x".repeat(500), "/", None).unwrap_err().message;
    assert!(message.len() < 400 && !message.contains('\u{7}'), "{message}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// What an ordinary server makes of an admitted path stays below the admitted folder.
    #[test]
    fn nothing_climbs_out(path in r"/open(/|\.|%2e|%2f|%25|%5c|\\|;|a|%00|%){0,12}") {
        let admission = paths(&["/open/**"]);
        if admission.check("GET", &path, None).is_ok() {
            let mut text = path.clone();
            for _ in 0..3 {
                text = percent_decoded(&text).replace('\\', "/");
                prop_assert!(text.split('/').all(|segment| segment != ".." && segment != "."), "{path}");
                prop_assert!(text == "/open" || text.starts_with("/open/"), "{path}");
            }
        }
    }

    #[test]
    fn any_request_gets_an_answer(method in ".{0,8}", path in ".{0,40}", query in proptest::option::of(".{0,40}")) {
        let admission = Admission { query: Some(vec![QueryRule::default()]), ..paths(&["/**", "", "/*", "**"]) };
        let _ = admission.check(&method, &path, query.as_deref());
    }
}

/// A lenient decoder, as servers have it: what is not an escape stays.
fn percent_decoded(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        match rest.get(at + 1..at + 3).and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                out.push(char::from(byte));
                rest = &rest[at + 3..];
            }
            None => {
                out.push('%');
                rest = &rest[at + 1..];
            }
        }
    }
    out + rest
}

#[test]
fn a_query_that_comes_as_a_body_reads() {
    let query = "/ngsi-ld/v1/entityOperations/query";
    let admission = |methods: &[&str], paths: &[&str], query: Option<Vec<QueryRule>>| Admission {
        methods: methods.iter().map(|&method| method.into()).collect(),
        paths: paths.iter().map(|&path| path.into()).collect(),
        query,
    };
    let reading = admission(&["GET"], &["/ngsi-ld/v1/**"], None);
    for (method, path, admitted) in [
        ("POST", query, true),
        ("POST", "/ngsi-ld/v1/temporal/entityOperations/query", true),
        ("POST", "/entityOperations/query", false),
        ("POST", "/ngsi-ld/v1/entities", false),
        ("POST", "/ngsi-ld/v1/entityOperations/create", false),
        ("POST", "/ngsi-ld/v1/entityOperations/query/", false),
        ("POST", "/ngsi-ld/v1/entityOperations/%71uery", false),
        ("POST", "/ngsi-ld/v1/x/entityOperations/query", false),
        ("POST", "/ngsi-ld/v1/entityOperations/../entities", false),
        ("PUT", query, false),
        ("DELETE", query, false),
    ] {
        assert_eq!(reading.check(method, path, None).is_ok(), admitted, "{method} {path}");
    }
    assert!(admission(&["GET"], &["/ngsi-ld/v1/entities"], None).check("POST", query, None).is_err());
    assert!(admission(&["PUT"], &["/ngsi-ld/v1/**"], None).check("POST", query, None).is_err());
    // What rules say of parameters could be asked for in the body.
    let typed = vec![QueryRule { name: "type".into(), values: Some(vec!["Air".into()]), required: true }];
    let ruled = admission(&["GET"], &["/ngsi-ld/v1/**"], Some(typed));
    assert_eq!(ruled.check("POST", query, Some("type=Air")).unwrap_err().code, "method_not_admitted");
}
