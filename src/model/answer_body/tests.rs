use proptest::prelude::*;

use super::*;

/// Code, message and trace id; empty where there is none.
type Said<'a> = (&'a str, &'a str, &'a str);

#[track_caller]
fn says(body: &str, expected: Option<Said<'_>>) {
    let error = error_of(body.as_bytes());
    let said = error.as_ref().map(|it| {
        let text = |part: &'_ Option<String>| part.clone().unwrap_or_default();
        (text(&it.code), text(&it.message), text(&it.trace_id))
    });
    let said = said.as_ref().map(|(code, message, id)| (&**code, &**message, &**id));
    assert_eq!(said, expected, "{body}");
}

#[test]
fn an_error_is_told_by_its_code_and_its_long_message() {
    says(
        r#"{"errors":[{"message":"not found","long_message":"No user was found with id x",
            "code":"resource_not_found","meta":{}}],"clerk_trace_id":"t1"}"#,
        Some(("resource_not_found", "No user was found with id x", "t1")),
    );
}

#[test]
fn the_short_message_serves_where_the_long_one_is_missing_or_blank() {
    says(r#"{"errors":[{"message":"m","code":"c"}]}"#, Some(("c", "m", "")));
    says(r#"{"errors":[{"message":"m","long_message":" ","code":"c"}]}"#, Some(("c", "m", "")));
    says(r#"{"errors":[{"message":"m","long_message":7,"code":[]}]}"#, Some(("", "m", "")));
}

#[test]
fn an_error_that_says_nothing_is_passed_over() {
    says(r#"{"errors":[null,7,{},[],{"code":"c"}]}"#, Some(("c", "", "")));
}

#[test]
fn a_trace_id_counts_without_any_error() {
    says(r#"{"clerk_trace_id":"t"}"#, Some(("", "", "t")));
    says(r#"{"errors":"?","clerk_trace_id":"t"}"#, Some(("", "", "t")));
}

#[test]
fn what_is_no_error_body_says_nothing() {
    for body in ["", "[]", "null", "<html>", "{", "{}", "[[{\"code\":\"c\"}]]", "{}{}"] {
        says(body, None);
    }
    assert_eq!(error_of(b"\x1f\x8b\x08\xff"), None);
}

#[test]
fn a_body_beyond_64_kib_is_not_looked_at() {
    let body = |n| format!(r#"{{"x":"{}","errors":[{{"code":"c"}}]}}"#, "y".repeat(n));
    says(&body(60_000), Some(("c", "", "")));
    says(&body(70_000), None);
}

#[test]
fn long_texts_are_cut_between_characters() {
    let body = format!(r#"{{"errors":[{{"code":"{0}","message":"{0}"}}]}}"#, "é".repeat(3_000));
    let error = error_of(body.as_bytes()).unwrap();
    assert_eq!(error.code.unwrap().chars().count(), MAX_WORD);
    assert_eq!(error.message.unwrap().chars().count(), MAX_MESSAGE);
}

#[track_caller]
fn lists(body: &str, expected: &[&str]) {
    let users = users_of(body.as_bytes()).unwrap();
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
    let users = users_of(br#"[{ "id":"user_a" , "n":1.0 }]"#).unwrap();
    assert_eq!(users[0].json, r#"{ "id":"user_a" , "n":1.0 }"#);
}

#[test]
fn what_is_no_list_of_users_is_refused() {
    for body in ["", "{}", "null", "[1]", "[{}]", r#"[{"id":"user_a"},null]"#, "[", "<html>"] {
        assert!(users_of(body.as_bytes()).is_err(), "{body}");
    }
    assert!(users_of(b"[\"\xff\"]").is_err());
}

#[test]
fn a_list_of_more_than_500_is_refused() {
    let list = |n| format!("[{}]", vec![r#"{"id":"user_a"}"#; n].join(","));
    assert_eq!(users_of(list(500).as_bytes()).unwrap().len(), 500);
    let why = users_of(list(501).as_bytes()).unwrap_err();
    insta::assert_snapshot!(
        why,
        @"the answer is no list of users: more than 500 users at line 1 column 8017"
    );
}

#[test]
fn a_list_with_a_user_larger_than_an_answer_is_refused() {
    let list = |n| format!(r#"[{{"id":"user_a","x":"{}"}}]"#, "x".repeat(n));
    assert!(users_of(list(MAX_USER - 100).as_bytes()).is_ok());
    assert!(users_of(list(MAX_USER).as_bytes()).is_err());
}

#[test]
fn the_count_is_read_and_nothing_else_taken_for_it() {
    assert_eq!(count_of(br#"{"object":"total_count","total_count":12}"#), Some(12));
    for body in ["", "12", "[12]", "{}", r#"{"total_count":-1}"#, r#"{"total_count":"1"}"#] {
        assert_eq!(count_of(body.as_bytes()), None, "{body}");
    }
}

proptest! {
    #[test]
    fn no_body_whatever_makes_a_reader_panic(body: Vec<u8>, text in "[\\[\\]{}\":,a-z0-9]*") {
        for body in [body.as_slice(), text.as_bytes()] {
            let _ = (error_of(body), users_of(body).is_ok(), count_of(body));
        }
    }
}
