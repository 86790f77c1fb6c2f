//! Look-ups whose response has no valid `locked` property.

mod common;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use common::Stage;
use common::server::serve;
use common::watch::FAST;

/// Returns the `locked` property of a user in their n-th look-up, as JSON; `None` omits it.
type Locked = fn(&str, usize) -> Option<&'static str>;

/// A server on which all users exist. It logs unlocks and look-ups.
struct Server {
    url: String,
    log: Arc<Mutex<Log>>,
}

#[derive(Clone, Default)]
struct Log {
    n_look_ups: HashMap<String, usize>,
    unlocked: Vec<String>,
}

impl Server {
    fn start(locked: Locked) -> Self {
        let log = Arc::<Mutex<Log>>::default();
        let shared = Arc::clone(&log);
        let url = serve(move |target| {
            let mut log = shared.lock().expect("not poisoned");
            (200, log.respond(target, locked))
        });
        Self { url, log }
    }

    fn log(&self) -> Log {
        self.log.lock().expect("not poisoned").clone()
    }
}

impl Log {
    /// Logs a request and returns the body of its response.
    fn respond(&mut self, target: &str, locked: Locked) -> String {
        if let Some(path) = target.strip_suffix("/unlock") {
            let id = path.rsplit('/').next().unwrap_or_default().to_owned();
            let body = object(&id, Some("false"));
            self.unlocked.push(id);
            return body;
        }
        let names = target.split('&').filter_map(|pair| pair.split_once('='));
        let names = names.filter(|(name, _)| ["user_id", "email_address"].contains(name));
        let objects = names.map(|(_, value)| {
            let id = value.split("%40").next().unwrap_or_default();
            let n = self.n_look_ups.entry(id.to_owned()).or_default();
            *n += 1;
            object(id, locked(id, *n))
        });
        format!("[{}]", objects.collect::<Vec<_>>().join(","))
    }
}

/// A user whose email address is their id at `x.org`.
fn object(id: &str, locked: Option<&str>) -> String {
    let locked = locked.map(|json| format!(r#","locked":{json}"#)).unwrap_or_default();
    format!(r#"{{"id":"{id}","email_addresses":[{{"email_address":"{id}@x.org"}}]{locked}}}"#)
}

/// A stage with three users: by id in `ids.txt`, by email address in `emails.txt`.
fn stage(server: &Server) -> Stage {
    let mut stage = Stage::new();
    stage.set("CLERK_SECRET_KEY", "sk_test_abcdefghijklmnopqrst");
    stage.set("CLERK_API_URL", &server.url);
    stage.write("ids.txt", "user_a\nuser_b\nuser_c\n");
    stage.write("emails.txt", "user_a@x.org\nuser_b@x.org\nuser_c@x.org\n");
    stage
}

/// The lock state of `user_b` is unclear, in various ways; the others are locked.
fn unclear_for_b(id: &str, n: usize) -> Option<&'static str> {
    let odd = [None, Some("null"), Some("\"true\""), Some("1"), Some("\"false\"")];
    if id == "user_b" { odd[n % odd.len()] } else { Some("true") }
}

/// Checks that only `user_b` fails, after two retries and without an unlock request.
#[track_caller]
fn check_only_b_fails(line: &str, outcome: &str, locked: Locked) {
    let server = Server::start(locked);
    let stage = stage(&server);
    stage.run(&format!("{line} -o out.csv --max-retries 2 -c 1 {FAST}")).exits_with(1);
    let mut rows = stage.rows("out.csv");
    rows.sort_by_key(|row| row["line"].clone());
    let column = |name| rows.iter().map(|row| row[name].as_str()).collect::<Vec<_>>();
    assert_eq!(column("outcome"), [outcome, "failed", outcome], "{line}");
    assert_eq!(column("error_code"), ["", "untrusted_answer", ""], "{line}");
    let Log { n_look_ups, unlocked } = server.log();
    let n_look_ups = ["user_a", "user_b", "user_c"].map(|id| n_look_ups[id]);
    assert_eq!(n_look_ups, [1, 3, 1], "{line}: only user_b is looked up again");
    let is_run = outcome == "unlocked";
    let called: &[&str] = if is_run { &["user_a", "user_c"] } else { &[] };
    assert_eq!(unlocked, called, "{line}");
}

#[test]
fn a_user_whose_lock_state_is_unclear_is_neither_unlocked_nor_skipped() {
    check_only_b_fails("plan ids.txt", "would_unlock", unclear_for_b);
    check_only_b_fails("plan emails.txt --by email", "would_unlock", unclear_for_b);
    check_only_b_fails("run ids.txt --yes --only-locked", "unlocked", unclear_for_b);
    check_only_b_fails("run emails.txt --yes --by email", "unlocked", unclear_for_b);
}

/// `user_b` has verification attempts that are not an integer, so that it is not known whether this user
/// is locked on purpose.
fn unclear_reason_for_b(id: &str, n: usize) -> Option<&'static str> {
    let odd = [
        r#"true,"verification_attempts_remaining":"5""#,
        r#"true,"verification_attempts_remaining":5.5"#,
        r#"true,"verification_attempts_remaining":{}"#,
    ];
    if id == "user_b" { odd.get(n % odd.len()).copied() } else { Some("true") }
}

#[test]
fn a_user_who_may_be_locked_on_purpose_is_neither_unlocked_nor_skipped() {
    check_only_b_fails("plan ids.txt", "would_unlock", unclear_reason_for_b);
    check_only_b_fails("run ids.txt --yes --only-locked", "unlocked", unclear_reason_for_b);
    let server = Server::start(unclear_reason_for_b);
    let run = format!("run ids.txt --yes --only-locked --include-admin-locked {FAST}");
    stage(&server).run(&run).exits_with(0);
    assert_eq!(server.log().unlocked.len(), 3);
}

#[test]
fn a_run_of_a_plan_does_not_unlock_users_whose_lock_state_became_unclear() {
    // The plan makes the first look-up.
    let server = Server::start(|id, n| if n == 1 { Some("true") } else { unclear_for_b(id, n) });
    let stage = stage(&server);
    stage.run(&format!("plan ids.txt -o plan.csv {FAST}")).exits_with(0);
    stage.check_all_outcomes("plan.csv", "would_unlock");
    stage
        .run(&format!("run --plan plan.csv --yes -o out.csv --max-retries 2 {FAST}"))
        .exits_with(1);
    assert_eq!(stage.counts("out.csv"), [("failed".into(), 1), ("unlocked".into(), 2)].into());
    assert!(!server.log().unlocked.contains(&"user_b".to_owned()));
}

#[test]
fn users_are_looked_up_again_until_their_lock_state_is_clear() {
    let server = Server::start(|id, n| if n < 3 { unclear_for_b(id, n) } else { Some("true") });
    let stage = stage(&server);
    stage.run(&format!("run ids.txt --yes --only-locked {FAST}")).exits_with(0);
    stage.check_all_outcomes("ids.results.csv", "unlocked");
    assert_eq!(server.log().unlocked.len(), 3);
}

#[test]
fn verify_reports_an_unclear_lock_state_as_unknown() {
    let server = Server::start(|id, n| {
        unclear_for_b(id, n).filter(|_| id == "user_b").or((id != "user_b").then_some("false"))
    });
    let stage = stage(&server);
    stage.run(&format!("run ids.txt --yes {FAST}")).exits_with(0);
    stage.run(&format!("verify ids.results.csv {FAST}")).exits_with(1);
    let mut outcomes = stage.column("ids.results.verify.csv", "outcome");
    outcomes.sort();
    assert_eq!(outcomes, ["still_unlocked", "still_unlocked", "unknown"]);
}
