use proptest::prelude::*;

use super::*;

fn users(body: &[u8]) -> Result<Vec<UserSnapshot>, String> {
    users_of(body)
}

/// Code, message and trace id; empty if missing.
type Expected<'a> = (&'a str, &'a str, &'a str);

#[track_caller]
fn check(body: &str, expected: Option<Expected<'_>>) {
    let error = error_of(body.as_bytes());
    let found = error.as_ref().map(|it| {
        let text = |part: &'_ Option<String>| part.clone().unwrap_or_default();
        (text(&it.code), text(&it.message), text(&it.trace_id))
    });
    let found = found.as_ref().map(|(code, message, id)| (&**code, &**message, &**id));
    assert_eq!(found, expected, "{body}");
}

#[test]
fn an_error_has_a_code_and_a_long_message() {
    check(
        r#"{"errors":[{"message":"not found","long_message":"No user was found with id x",
            "code":"resource_not_found","meta":{}}],"clerk_trace_id":"t1"}"#,
        Some(("resource_not_found", "No user was found with id x", "t1")),
    );
}

#[test]
fn the_short_message_replaces_a_missing_or_blank_long_one() {
    check(r#"{"errors":[{"message":"m","code":"c"}]}"#, Some(("c", "m", "")));
    check(r#"{"errors":[{"message":"m","long_message":" ","code":"c"}]}"#, Some(("c", "m", "")));
    check(r#"{"errors":[{"message":"m","long_message":7,"code":[]}]}"#, Some(("", "m", "")));
}

#[test]
fn an_error_without_code_and_message_is_skipped() {
    check(r#"{"errors":[null,7,{},[],{"code":"c"}]}"#, Some(("c", "", "")));
}

#[test]
fn a_trace_id_is_read_without_an_error() {
    check(r#"{"clerk_trace_id":"t"}"#, Some(("", "", "t")));
    check(r#"{"errors":"?","clerk_trace_id":"t"}"#, Some(("", "", "t")));
}

#[test]
fn any_other_body_has_no_error() {
    for body in ["", "[]", "null", "<html>", "{", "{}", "[[{\"code\":\"c\"}]]", "{}{}"] {
        check(body, None);
    }
    assert_eq!(error_of(b"\x1f\x8b\x08\xff"), None);
}

#[test]
fn an_error_body_larger_than_64_kib_is_not_read() {
    let body = |n| format!(r#"{{"x":"{}","errors":[{{"code":"c"}}]}}"#, "y".repeat(n));
    check(&body(60_000), Some(("c", "", "")));
    check(&body(70_000), None);
}

#[track_caller]
fn lists(body: &str, expected: &[&str]) {
    let users = users(body.as_bytes()).unwrap();
    let ids: Vec<_> = users.iter().map(|it| it.id.as_str()).collect();
    assert_eq!(ids, expected, "{body}");
}

#[test]
fn a_list_is_an_array_or_an_object_that_holds_one() {
    lists("[]", &[]);
    lists(r#" [{"id":"user_a"}, {"id":"user_b"}] "#, &["user_a", "user_b"]);
    lists(r#"{"data":[{"id":"user_a"}],"total_count":1}"#, &["user_a"]);
}

#[test]
fn each_user_of_a_list_is_kept_as_sent() {
    let users = users(br#"[{ "id":"user_a" , "n":1.0 }]"#).unwrap();
    assert_eq!(users[0].json, r#"{ "id":"user_a" , "n":1.0 }"#);
}

#[test]
fn only_the_object_of_the_same_user_is_accepted() {
    let user = "user_a".parse().unwrap();
    let check = |body: &[u8], expected: &str| {
        let why = user_of::<UserSnapshot>(body.to_vec(), &user).unwrap_err();
        assert!(why.starts_with(expected), "{why}");
    };
    assert!(user_of::<UserSnapshot>(br#"{"id":"user_a"}"#.to_vec(), &user).is_ok());
    check(b"", "the response is empty");
    check(b"{\xff}", "the response is not UTF-8");
    check(b"<html>", "not a user object");
    check(b"[]", "not a user object");
    check(br#"{"id":"user_b"}"#, "the response is another user's object");
    check(b"{}", "the response is another user's object");
}

#[test]
fn a_body_that_is_not_a_list_of_users_is_refused() {
    for body in ["", "{}", "null", "[1]", "[{}]", r#"[{"id":"user_a"},null]"#, "[", "<html>"] {
        assert!(users(body.as_bytes()).is_err(), "{body}");
    }
    assert!(users(b"[\"\xff\"]").is_err());
}

#[test]
fn a_list_of_more_than_500_is_refused() {
    let list = |n| format!("[{}]", vec![r#"{"id":"user_a"}"#; n].join(","));
    assert_eq!(users(list(500).as_bytes()).unwrap().len(), 500);
    let why = users(list(501).as_bytes()).unwrap_err();
    insta::assert_snapshot!(
        why,
        @"not a list of users: more than 500 users at line 1 column 8017"
    );
}

#[test]
fn a_list_with_a_user_above_the_limit_is_refused() {
    let list = |n| format!(r#"[{{"id":"user_a","x":"{}"}}]"#, "x".repeat(n));
    assert!(users(list(MAX_USER - 100).as_bytes()).is_ok());
    assert!(users(list(MAX_USER).as_bytes()).is_err());
}

#[test]
fn only_total_count_is_a_count() {
    assert_eq!(count_of(br#"{"object":"total_count","total_count":12}"#), Some(12));
    for body in ["", "12", "[12]", "{}", r#"{"total_count":-1}"#, r#"{"total_count":"1"}"#] {
        assert_eq!(count_of(body.as_bytes()), None, "{body}");
    }
}

proptest! {
    #[test]
    fn parsing_never_panics(body: Vec<u8>, text in "[\\[\\]{}\":,a-z0-9]*") {
        for body in [body.as_slice(), text.as_bytes()] {
            let _ = (error_of(body), users(body).is_ok(), count_of(body));
        }
    }
}
