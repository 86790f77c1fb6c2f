use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;

fn user() -> UserId {
    "user_a".parse().unwrap()
}

fn answer(status: u16, body: &str) -> Reply {
    Reply::Answer(Answer { status, body: body.as_bytes().to_vec(), ..Answer::default() })
}

fn word<T>(verdict: &Verdict<T>) -> &'static str {
    match verdict {
        Verdict::Good(_) => "good",
        Verdict::StillLocked(..) => "still locked, again",
        Verdict::Transient { .. } => "transient",
        Verdict::Throttled { .. } => "throttled",
        Verdict::Final(Outcome::NotFound, _) => "not_found",
        Verdict::Final(..) => "rejected",
        Verdict::Fatal(..) => "fatal",
    }
}

fn code<T>(verdict: &Verdict<T>) -> String {
    match verdict {
        Verdict::Good(_) => String::new(),
        Verdict::StillLocked(_, failure)
        | Verdict::Transient { failure, .. }
        | Verdict::Throttled { failure, .. }
        | Verdict::Final(_, failure)
        | Verdict::Fatal(_, failure) => failure.code.to_string(),
    }
}

/// Runs of statuses with the same verdict, one a line.
fn table() -> String {
    let mut table = String::new();
    let mut first = 100;
    for status in 100..=599 {
        let of = |status| unlock(&user(), answer(status, r#"{"id":"user_a","locked":false}"#));
        if status == 599 || word(&of(status)) != word(&of(status + 1)) {
            writeln!(table, "{first}-{status} {}", word(&of(status))).unwrap();
            first = status + 1;
        }
    }
    table
}

#[test]
fn only_an_answer_with_locked_true_counts_as_locked() {
    let of = |body| word(&lock(&user(), answer(200, body)));
    assert_eq!(of(r#"{"id":"user_a","locked":true}"#), "good");
    for body in [
        r#"{"id":"user_a","locked":false}"#,
        r#"{"id":"user_a","locked":"true"}"#,
        r#"{"id":"user_a"}"#,
        r#"{"id":"user_b","locked":true}"#,
        "",
    ] {
        assert_eq!(of(body), "transient", "{body}");
    }
}

#[test]
fn every_status_has_one_meaning() {
    insta::assert_snapshot!(table(), @r"
    100-199 rejected
    200-200 good
    201-400 rejected
    401-401 fatal
    402-403 rejected
    404-404 not_found
    405-406 rejected
    407-407 fatal
    408-408 transient
    409-424 rejected
    425-425 transient
    426-428 rejected
    429-429 throttled
    430-499 rejected
    500-599 transient
    ");
}

#[test]
fn transport_faults_are_transient_unless_a_setting_causes_them() {
    let faults = [
        Fault::Timeout(Duration::from_secs(30)),
        Fault::Connection("connection refused".into()),
        Fault::Truncated("unexpected end".into()),
        Fault::TooLarge(4 << 20),
        Fault::UntrustedCertificate("unknown issuer".into()),
        Fault::ProxyAuthentication,
    ];
    let verdicts: Vec<String> = faults
        .into_iter()
        .map(|fault| unlock(&user(), Reply::Fault(fault)))
        .map(|verdict| format!("{} {}", code(&verdict), word(&verdict)))
        .collect();
    insta::assert_snapshot!(verdicts.join("\n"), @r"
    timeout transient
    connection transient
    truncated_answer transient
    untrusted_answer transient
    untrusted_certificate fatal
    proxy_refused fatal
    ");
}

#[track_caller]
fn check_200(body: &str, expected: &str) {
    assert_eq!(word(&unlock(&user(), answer(200, body))), expected, "{body}");
}

#[test]
fn a_200_counts_only_as_this_users_object() {
    check_200(r#"{"id":"user_a","locked":false}"#, "good");
    check_200(r#"{"id":"user_a"}"#, "good");
    check_200(r#"{"id":"user_a","locked":true}"#, "still locked, again");
    check_200(r#"{"id":"user_a","locked":"true"}"#, "transient");
    check_200(r#"{"id":"user_a","locked":1}"#, "transient");
    check_200(r#"{"id":"user_a","locked":null}"#, "good");
    check_200(r#"{"id":"user_b","locked":false}"#, "transient");
    check_200(r#"{"locked":false}"#, "transient");
    check_200("", "transient");
    check_200("<html>", "transient");
    check_200("[]", "transient");
    check_200(r#"{"id":"user_a""#, "transient");
    let not_utf8 = Answer { status: 200, body: vec![b'{', 0xff, b'}'], ..Answer::default() };
    assert_eq!(word(&unlock(&user(), Reply::Answer(not_utf8))), "transient");
}

#[test]
fn a_refusal_has_clerks_code_and_a_server_error_its_status() {
    let body = r#"{"errors":[{"message":"m","code":"resource_not_found"}],"clerk_trace_id":"t"}"#;
    let verdict = unlock(&user(), answer(404, body));
    assert_eq!(code(&verdict), "resource_not_found");
    let Verdict::Final(Outcome::NotFound, failure) = verdict else { panic!("{verdict:?}") };
    assert_eq!(failure.trace_id.as_deref(), Some("t"));
    assert_eq!(code(&unlock(&user(), answer(503, body))), "http_503");
    assert_eq!(code(&unlock(&user(), answer(422, "<html>"))), "http_422");
}

#[test]
fn long_texts_are_masked_before_they_are_cut() {
    let key = "sk_live_0123456789abcdefghijXYZ1";
    let long = |n: usize| format!("{}{key}", "é".repeat(n));
    let body = format!(
        r#"{{"errors":[{{"code":"{}","message":"{}"}}],"clerk_trace_id":"{}"}}"#,
        long(90),
        long(990),
        long(90)
    );
    let Verdict::Final(_, failure) = unlock(&user(), answer(422, &body)) else { panic!("final") };
    let word: String = format!("{}sk_live_…XYZ1", "é".repeat(90)).chars().take(100).collect();
    assert_eq!((&*failure.code, failure.trace_id.as_deref()), (&*word, Some(&*word)));
    assert!(failure.message.ends_with("ésk_live_…X") && failure.message.chars().count() == 1_000);
}

#[test]
fn the_ray_replaces_a_missing_trace_id() {
    let reply = Answer { status: 502, ray: Some("8f2-FRA".into()), ..Answer::default() };
    let Verdict::Transient { failure, .. } = unlock(&user(), Reply::Answer(reply)) else {
        panic!("a 502 is transient")
    };
    assert_eq!(failure.trace_id.as_deref(), Some("8f2-FRA"));
}

fn asked(emails: &[&str]) -> Vec<Identifier> {
    emails.iter().map(|email| Identifier::Email((*email).into())).collect()
}

#[test]
fn a_look_up_with_an_unrequested_user_is_not_trusted() {
    let body = |email: &str| {
        format!(r#"[{{"id":"user_a","email_addresses":[{{"id":"e","email_address":"{email}"}}]}}]"#)
    };
    let of = |email: &str| word(&look_up(&asked(&["a@x.org"]), 500, answer(200, &body(email))));
    assert_eq!(of("A@x.org"), "good");
    assert_eq!(of("b@x.org"), "transient");
}

#[test]
fn a_look_up_with_a_full_page_is_not_trusted() {
    let body = r#"[{"id":"user_a"},{"id":"user_b"}]"#;
    let asked: Vec<Identifier> =
        ["user_a", "user_b"].map(|id| Identifier::UserId(id.parse().unwrap())).into();
    assert_eq!(word(&look_up(&asked, 2, answer(200, body))), "transient");
    assert_eq!(word(&look_up(&asked, 500, answer(200, body))), "good");
}

#[test]
fn a_look_up_with_contradictory_users_is_not_trusted() {
    let asked = [Identifier::UserId("user_a".parse().unwrap())];
    let of = |body: &str| look_up(&asked, 500, answer(200, body));
    let twice = r#"[{"id":"user_a","locked":true},{"id":"user_a","locked":true}]"#;
    assert!(matches!(of(twice), Verdict::Good(users) if users.len() == 1));
    let both = r#"[{"id":"user_a","locked":true},{"id":"user_a","locked":false}]"#;
    assert_eq!(word(&of(both)), "transient");
}

#[track_caller]
fn check_decision(json: &str, admin_locked: AdminLocked, expected: Option<Outcome>) {
    let user = UserSnapshot::parse(json).unwrap();
    assert_eq!(decide(&user, admin_locked), expected, "{json}");
}

#[test]
fn only_locked_users_are_unlocked_and_admin_locked_ones_only_on_request() {
    use AdminLocked::{Include, LeaveAlone};
    let by_attempts = r#"{"locked":true,"verification_attempts_remaining":0}"#;
    let on_purpose = r#"{"locked":true,"verification_attempts_remaining":9}"#;
    check_decision(r#"{"locked":false}"#, Include, Some(Outcome::AlreadyUnlocked));
    check_decision(by_attempts, LeaveAlone, Some(Outcome::WouldUnlock));
    check_decision(on_purpose, LeaveAlone, Some(Outcome::AdminLocked));
    check_decision(on_purpose, Include, Some(Outcome::WouldUnlock));
    for attempts in ["\"0\"", "\"9\"", "0.5", "true", "[]", "{}"] {
        let json = format!(r#"{{"locked":true,"verification_attempts_remaining":{attempts}}}"#);
        check_decision(&json, LeaveAlone, None);
        check_decision(&json, Include, Some(Outcome::WouldUnlock));
    }
}

/// Everything but `true` and `false`.
const UNDECIDED: [&str; 6] = [
    "{}",
    r#"{"locked":null}"#,
    r#"{"locked":"true"}"#,
    r#"{"locked":"false"}"#,
    r#"{"locked":1}"#,
    r#"{"locked":{}}"#,
];

#[test]
fn an_answer_without_a_boolean_locked_decides_nothing() {
    for json in UNDECIDED {
        check_decision(json, AdminLocked::LeaveAlone, None);
        check_decision(json, AdminLocked::Include, None);
        assert_eq!(decide_relock(&UserSnapshot::parse(json).unwrap()), None, "{json}");
        assert_eq!(read_back(Some(&UserSnapshot::parse(json).unwrap())), Outcome::Unknown);
    }
}

#[test]
fn only_unlocked_users_are_locked_again() {
    let of = |json| decide_relock(&UserSnapshot::parse(json).unwrap());
    assert_eq!(of(r#"{"locked":false}"#), Some(Outcome::WouldRelock));
    assert_eq!(of(r#"{"locked":true}"#), Some(Outcome::AlreadyLocked));
}

#[test]
fn a_read_back_reports_only_what_the_response_shows() {
    let of = |json| read_back(Some(&UserSnapshot::parse(json).unwrap()));
    assert_eq!(of(r#"{"locked":false}"#), Outcome::StillUnlocked);
    assert_eq!(of(r#"{"locked":true}"#), Outcome::LockedAgain);
    for garbled in ["{}", r#"{"locked":null}"#, r#"{"locked":"true"}"#, r#"{"locked":1}"#] {
        assert_eq!(of(garbled), Outcome::Unknown, "{garbled}");
    }
    assert_eq!(read_back(None), Outcome::Gone);
}

proptest! {
    #[test]
    fn no_body_is_taken_for_a_user_by_accident(status in 100_u16..600, body in ".{0,80}") {
        let verdict = unlock(&user(), answer(status, &body));
        prop_assert!(!matches!(verdict, Verdict::Good(_)), "{body}");
    }
}
