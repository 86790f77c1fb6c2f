use super::*;
use crate::engine::batches;
use crate::engine::testing::{
    Asked, Bench, Call, Played, Ran, Scripted, answer, ms, on_a_paused_clock, secs, status,
    timed_out,
};
use crate::model::{IdentifierKind, Records, StopReason};
use crate::policy::classify::AdminLocked::{Include, LeaveAlone};

/// A user of the instance, as JSON.
fn user(id: &str, emails: &[&str], facts: &str) -> UserSnapshot {
    let emails: Vec<String> =
        emails.iter().map(|email| format!(r#"{{"email_address":"{email}"}}"#)).collect();
    let emails = emails.join(",");
    let json = format!(r#"{{"id":"{id}",{facts},"email_addresses":[{emails}]}}"#);
    UserSnapshot::parse(&json).unwrap()
}

const LOCKED: &str = r#""locked":true,"verification_attempts_remaining":0"#;
const ADMIN_LOCKED: &str = r#""locked":true,"verification_attempts_remaining":9"#;
const UNLOCKED: &str = r#""locked":false"#;

fn locked(id: &str) -> UserSnapshot {
    user(id, &[], LOCKED)
}

/// The users of the instance that the call asks for, in another order.
fn found_in(instance: &[UserSnapshot], call: &Call) -> Reply {
    let Asked::LookUp(asked) = &call.asked else { panic!("{:?} is not a look-up", call.asked) };
    let is_asked = |user: &&UserSnapshot| {
        asked.iter().any(|it| match it {
            Identifier::UserId(id) => id.as_str() == user.id,
            other => user.emails.iter().any(|email| email.eq_ignore_ascii_case(other.as_str())),
        })
    };
    let found: Vec<&str> =
        instance.iter().rev().filter(is_asked).map(|user| user.json.as_str()).collect();
    answer(200, &format!("[{}]", found.join(",")))
}

/// An input and the purpose of its look-up.
struct Input {
    records: Vec<InputRecord>,
    kind: IdentifierKind,
    purpose: Purpose,
    excluded: ExcludeList,
    known: HashMap<UserId, u64>,
}

impl Input {
    fn of<T: AsRef<str>>(kind: IdentifierKind, cells: impl IntoIterator<Item = T>) -> Self {
        let record = |(line, cell): (u64, T)| InputRecord::new(line, cell.as_ref());
        Self {
            records: (2..).zip(cells).map(record).collect(),
            kind,
            purpose: Purpose::Plan(LeaveAlone),
            excluded: ExcludeList::default(),
            known: HashMap::new(),
        }
    }

    fn ids<T: AsRef<str>>(ids: impl IntoIterator<Item = T>) -> Self {
        Self::of(IdentifierKind::UserId, ids)
    }

    fn emails(emails: &[&str]) -> Self {
        Self::of(IdentifierKind::Email, emails)
    }

    fn with(self, purpose: Purpose) -> Self {
        Self { purpose, ..self }
    }

    async fn look_up(&self, api: &Scripted<'_>) -> (Ran, Vec<UnlockJob>) {
        self.look_up_on(&Bench::with_max_retries(2), api).await
    }

    async fn look_up_on(&self, bench: &Bench, api: &Scripted<'_>) -> (Ran, Vec<UnlockJob>) {
        let known = self.known.clone();
        let work = LookUp::new(api, self.purpose, &self.records, &self.excluded, known);
        let records =
            Records { records: self.records.clone(), kind: self.kind, ..Records::default() };
        let jobs = (0..).take(self.records.len()).collect();
        let ran = bench.run(&work, batches(&records, jobs)).await;
        (ran, work.into_jobs())
    }
}

fn outcomes(ran: &Ran) -> Vec<(usize, Outcome)> {
    ran.finished().map(|(record, row)| (record, row.outcome)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_plan_has_an_outcome_for_each_user_and_missing_ones_are_not_found() {
    let instance = [
        locked("user_a"),
        user("user_b", &[], UNLOCKED),
        user("user_c", &[], ADMIN_LOCKED),
        user("user_e", &[], LOCKED),
    ];
    let api = Scripted::new(|call| found_in(&instance, call));
    let input = Input::ids(["user_a", "user_b", "user_c", "user_d", "user_e"]);
    let (ran, jobs) = input.look_up(&api).await;
    let expected = [
        Outcome::WouldUnlock,
        Outcome::AlreadyUnlocked,
        Outcome::AdminLocked,
        Outcome::NotFound,
        Outcome::WouldUnlock,
    ];
    assert_eq!(outcomes(&ran), expected.into_iter().enumerate().collect::<Vec<_>>());
    assert!(jobs.is_empty());
    assert_eq!(ran.row(0).user.as_deref(), Some(&instance[0]));
    assert_eq!(ran.row(3).error_message.as_deref(), Some("no user has this user ID"));
    assert_eq!(ran.row(3).user_id.as_ref().map(UserId::as_str), Some("user_d"));

    let (ran, _) = input.with(Purpose::Plan(Include)).look_up(&api).await;
    assert_eq!(ran.row(2).outcome, Outcome::WouldUnlock);
}

/// Neither true nor false.
const UNDECIDED: [&str; 4] =
    [r#""banned":false"#, r#""locked":null"#, r#""locked":"true""#, r#""locked":1"#];

#[tokio::test(start_paused = true)]
async fn only_users_without_a_valid_locked_fail() {
    for facts in UNDECIDED {
        for purpose in [Purpose::Plan(LeaveAlone), Purpose::Run(Include)] {
            let instance = [locked("user_a"), user("user_b", &[], facts), locked("user_c")];
            let api = Scripted::new(|call| found_in(&instance, call));
            let input = Input::ids(["user_a", "user_b", "user_c", "user_d"]).with(purpose);
            let (ran, jobs) = input.look_up(&api).await;
            let row = ran.row(1);
            assert_eq!((row.outcome, row.http_status), (Outcome::Failed, Some(200)), "{facts}");
            assert_eq!(row.error_code.as_deref(), Some("untrusted_answer"));
            assert_eq!(ran.row(3).outcome, Outcome::NotFound);
            let n_to_unlock =
                jobs.len() + ran.rows().filter(|it| it.outcome == Outcome::WouldUnlock).count();
            assert_eq!(n_to_unlock, 2);
            // The other users are requested once.
            let asked: Vec<usize> = api
                .calls()
                .iter()
                .map(|call| match &call.asked {
                    Asked::LookUp(asked) => asked.len(),
                    other => panic!("{other:?}"),
                })
                .collect();
            assert_eq!(asked, [4, 1, 1]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_user_is_requested_again_until_locked_is_valid() {
    let undecided = user("user_b", &["b@x.org"], UNDECIDED[2]);
    let api = Scripted::new(|call| {
        let b =
            if call.place < 2 { undecided.clone() } else { user("user_b", &["b@x.org"], LOCKED) };
        let instance = [user("user_a", &["a@x.org"], UNLOCKED), b];
        found_in(&instance, call)
    });
    let input = Input::emails(&["a@x.org", "b@x.org", "c@x.org"]).with(Purpose::Run(LeaveAlone));
    let (ran, jobs) = input.look_up(&api).await;
    assert_eq!(outcomes(&ran), [(0, Outcome::AlreadyUnlocked), (2, Outcome::NotFound)]);
    assert_eq!(
        jobs.iter().map(|job| (job.record, job.user.as_str())).collect::<Vec<_>>(),
        [(1, "user_b")]
    );
    assert_eq!(api.calls().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_decided_user_keeps_the_decision_when_later_attempts_for_others_fail() {
    let instance = [locked("user_a"), user("user_b", &[], UNDECIDED[0])];
    let api =
        Scripted::new(|call| if call.place == 0 { found_in(&instance, call) } else { timed_out() });
    let (ran, _) = Input::ids(["user_a", "user_b"]).look_up(&api).await;
    assert_eq!(outcomes(&ran), [(0, Outcome::WouldUnlock), (1, Outcome::Failed)]);
    assert_eq!(ran.row(0).http_status, Some(200));
    assert_eq!(ran.row(1).error_code.as_deref(), Some("timeout"));
}

#[tokio::test(start_paused = true)]
async fn an_excluded_user_and_an_ambiguous_identifier_need_no_locked() {
    let instance = [
        user("user_a", &["a@x.org"], UNDECIDED[0]),
        user("user_b", &["b@x.org"], UNDECIDED[1]),
        user("user_c", &["b@x.org"], LOCKED),
    ];
    let api = Scripted::new(|call| found_in(&instance, call));
    let mut input = Input::emails(&["a@x.org", "b@x.org"]);
    input.excluded = ExcludeList::of_lines("keep.txt", ["user_a"]);
    let (ran, _) = input.look_up(&api).await;
    assert_eq!(outcomes(&ran), [(0, Outcome::Excluded), (1, Outcome::Ambiguous)]);
    assert_eq!(api.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_run_makes_jobs_of_the_locked_and_rows_of_the_others() {
    let instance = [locked("user_a"), user("user_b", &[], UNLOCKED), locked("user_d")];
    let api = Scripted::new(|call| found_in(&instance, call));
    let input = Input::ids(["user_a", "user_b", "user_c", "user_d"]);
    let (ran, jobs) = input.with(Purpose::Run(LeaveAlone)).look_up(&api).await;
    assert_eq!(outcomes(&ran), [(1, Outcome::AlreadyUnlocked), (2, Outcome::NotFound)]);
    let jobs: Vec<_> = jobs.iter().map(|job| (job.record, job.user.as_str())).collect();
    assert_eq!(jobs, [(0, "user_a"), (3, "user_d")]);
}

#[tokio::test(start_paused = true)]
async fn a_read_back_shows_who_stayed_unlocked() {
    let undecided = user("user_d", &[], UNDECIDED[2]);
    let instance = [locked("user_a"), user("user_b", &[], UNLOCKED), undecided];
    let api = Scripted::new(|call| found_in(&instance, call));
    let input = Input::ids(["user_a", "user_b", "user_c", "user_d"]).with(Purpose::ReadBack);
    let (ran, _) = input.look_up(&api).await;
    let expected = [
        (0, Outcome::LockedAgain),
        (1, Outcome::StillUnlocked),
        (2, Outcome::Gone),
        (3, Outcome::Unknown),
    ];
    assert_eq!(api.calls().len(), 1);
    assert_eq!(outcomes(&ran), expected);
    assert!(
        ran.rows().all(|row| row.was_locked.is_none()),
        "was_locked is about the time before the unlock"
    );
}

#[tokio::test(start_paused = true)]
async fn a_read_back_without_a_valid_locked_is_unknown() {
    let garbled = ["true", "1", "null"].map(|locked| format!(r#""locked":"{locked}""#));
    let facts: Vec<&str> =
        garbled.iter().map(String::as_str).chain([r#""banned":false"#]).collect();
    let instance = [0, 1, 2, 3].map(|n| user(&format!("user_{n}"), &[], facts[n]));
    let api = Scripted::new(|call| found_in(&instance, call));
    let input = Input::ids(["user_0", "user_1", "user_2", "user_3"]).with(Purpose::ReadBack);
    let (ran, _) = input.look_up(&api).await;
    assert_eq!(ran.counts(), [(Outcome::Unknown, 4)]);
}

#[tokio::test(start_paused = true)]
async fn was_locked_is_kept_for_the_row_of_the_unlock() {
    let instance = [locked("user_a"), user("user_b", &[], UNLOCKED)];
    let api = Scripted::new(|call| found_in(&instance, call));
    let input = Input::ids(["user_a", "user_b"]).with(Purpose::Run(LeaveAlone));
    let (ran, jobs) = input.look_up(&api).await;
    assert_eq!(ran.row(1).was_locked, Some(false));
    assert_eq!(jobs[0].was_locked, Some(true));
}

/// The indices of the records, in the order of their rows, if the first batch is answered last.
async fn order_of_rows(input: &Input, instance: &[UserSnapshot]) -> Vec<usize> {
    let api = Scripted::new(|call| {
        let latency = ms(5_000 - 500 * call.place as u64);
        Played::new(latency, ms(0), found_in(instance, call))
    });
    let (ran, _) = input.look_up(&api).await;
    assert_eq!(ran.counts(), [(Outcome::WouldUnlock, 950)]);
    assert_eq!(api.calls().len(), 10);
    let n_answered = |it: &&Event| matches!(it, Event::BatchAnswered { .. });
    assert_eq!(ran.events.iter().filter(n_answered).count(), 10);
    ran.finished().map(|(record, _)| record).collect()
}

#[tokio::test(start_paused = true)]
async fn users_by_id_are_recorded_at_once_in_batches_of_100() {
    let ids: Vec<String> = (0..950).map(|n| format!("user_{n}")).collect();
    let instance: Vec<UserSnapshot> = ids.iter().map(|id| locked(id)).collect();
    let batches = (0..10).rev().map(|batch| batch * 100..(batch * 100 + 100).min(950));
    let expected: Vec<usize> = batches.flatten().collect();
    assert_eq!(order_of_rows(&Input::ids(&ids), &instance).await, expected);
}

#[tokio::test(start_paused = true)]
async fn users_by_email_are_recorded_in_the_order_of_the_input() {
    let emails: Vec<String> = (0..950).map(|n| format!("{n}@x.org")).collect();
    let one = |(n, email): (usize, &String)| user(&format!("user_{n}"), &[email], LOCKED);
    let instance: Vec<UserSnapshot> = emails.iter().enumerate().map(one).collect();
    let input = Input::of(IdentifierKind::Email, &emails);
    assert_eq!(order_of_rows(&input, &instance).await, (0..950).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn jobs_are_in_the_order_of_the_input() {
    let ids: Vec<String> = (0..250).map(|n| format!("user_{n}")).collect();
    let instance: Vec<UserSnapshot> = ids.iter().map(|id| locked(id)).collect();
    let api = Scripted::new(|call| {
        Played::new(ms(900 - 300 * call.place as u64), ms(0), found_in(&instance, call))
    });
    let input = Input::ids(&ids).with(Purpose::Run(LeaveAlone));
    let (_, jobs) = input.look_up(&api).await;
    assert_eq!(jobs.iter().map(|job| job.record).collect::<Vec<_>>(), (0..250).collect::<Vec<_>>());
}

/// How many of 100 batches are requested before the first is answered.
async fn n_during_a_stalled_batch(kind: IdentifierKind, name: fn(usize) -> String) -> usize {
    let names: Vec<String> = (0..100 * MAX_LOOK_UP).map(name).collect();
    let api = Scripted::new(|call| {
        let latency = if call.place == 0 { secs(100) } else { ms(10) };
        Played::new(latency, ms(0), answer(200, "[]"))
    });
    let (ran, _) = Input::of(kind, &names).look_up(&api).await;
    assert_eq!(ran.counts(), [(Outcome::NotFound, names.len())]);
    api.n_between(secs(0), secs(100)) - 1
}

#[tokio::test(start_paused = true)]
async fn a_stalled_batch_delays_those_far_ahead_if_the_order_matters() {
    let n_during = n_during_a_stalled_batch(IdentifierKind::Email, |n| format!("{n}@x.org")).await;
    assert_eq!(n_during, 63);
    let n_during = n_during_a_stalled_batch(IdentifierKind::UserId, |n| format!("user_{n}")).await;
    assert_eq!(n_during, 99);
}

#[tokio::test(start_paused = true)]
async fn a_user_with_two_addresses_is_a_duplicate_in_any_order_of_answers() {
    let instance = [user("user_a", &["One@x.org", "two@x.org"], LOCKED)];
    let api = Scripted::new(|call| {
        Played::new(ms(900 - 300 * call.place as u64), ms(0), found_in(&instance, call))
    });
    // Long addresses, so that each request has only a few.
    let long = |n: usize| format!("{}{n}@x.org", "é".repeat(100));
    let mut cells: Vec<String> = (0..20).map(long).collect();
    cells.insert(0, "one@X.org".into());
    cells.push("two@x.org".into());
    let input = Input::of(IdentifierKind::Email, &cells).with(Purpose::Run(LeaveAlone));
    let (ran, jobs) = input.look_up(&api).await;
    assert!(api.calls().len() > 1);
    assert_eq!(jobs.len(), 1);
    assert_eq!((jobs[0].record, jobs[0].user.as_str()), (0, "user_a"));
    let row = ran.row(21);
    assert_eq!(row.outcome, Outcome::Duplicate);
    assert_eq!(row.error_message.as_deref(), Some("the same user is on line 2"));
    assert_eq!(row.user_id.as_ref(), Some(&jobs[0].user));
}

#[tokio::test(start_paused = true)]
async fn a_user_that_an_earlier_run_found_is_a_duplicate() {
    let instance = [user("user_a", &["two@x.org"], LOCKED)];
    let api = Scripted::new(|call| found_in(&instance, call));
    let mut input = Input::emails(&["two@x.org"]);
    input.known.insert("user_a".parse().unwrap(), 7);
    let (ran, _) = input.look_up(&api).await;
    assert_eq!(ran.row(0).outcome, Outcome::Duplicate);
    assert_eq!(ran.row(0).error_message.as_deref(), Some("the same user is on line 7"));
}

#[tokio::test(start_paused = true)]
async fn an_address_of_several_users_is_ambiguous_and_names_them() {
    let instance = ["user_b", "user_a", "user_c"].map(|id| user(id, &["a@x.org"], LOCKED));
    let api = Scripted::new(|call| found_in(&instance, call));
    let (ran, _) = Input::emails(&["a@x.org", "b@x.org"]).look_up(&api).await;
    let row = ran.row(0);
    assert_eq!((row.outcome, row.user_id.as_ref()), (Outcome::Ambiguous, None));
    let message = "3 users have this email address: user_a, user_b, user_c";
    assert_eq!(row.error_message.as_deref(), Some(message));
    assert_eq!(ran.row(1).error_message.as_deref(), Some("no user has this email address"));
}

#[tokio::test(start_paused = true)]
async fn a_user_is_excluded_by_any_identifier() {
    let instance = [
        user("user_a", &["a@x.org"], LOCKED),
        user("user_b", &["b@x.org", "B2@x.org"], LOCKED),
        user("user_c", &["c@x.org"], LOCKED),
    ];
    let api = Scripted::new(|call| found_in(&instance, call));
    for purpose in [Purpose::Plan(Include), Purpose::Run(Include)] {
        let mut input = Input::emails(&["a@x.org", "b@x.org", "c@x.org"]).with(purpose);
        input.excluded = ExcludeList::of_lines("keep.txt", ["user_a,Ann", "B2@X.org", "user_zz"]);
        let (ran, jobs) = input.look_up(&api).await;
        assert_eq!(outcomes(&ran)[..2], [(0, Outcome::Excluded), (1, Outcome::Excluded)]);
        let message = "excluded by \"B2@X.org\" on line 2 of keep.txt";
        assert_eq!(ran.row(1).error_message.as_deref(), Some(message));
        assert!(jobs.iter().all(|job| job.user.as_str() == "user_c"));
        let unmatched: Vec<_> = input.excluded.unmatched().map(|it| (it.text, it.line)).collect();
        assert_eq!(unmatched, [("Ann", 1), ("user_zz", 3)]);
    }
}

/// Where the identifiers are of an unknown type, an exclude list could name the user unnoticed.
#[tokio::test(start_paused = true)]
async fn a_user_who_cannot_be_checked_against_the_exclude_list_is_not_unlocked() {
    let facts = r#""locked":true,"external_id":7"#;
    let instance = [user("user_a", &[], facts), locked("user_b")];
    let api = Scripted::new(|call| found_in(&instance, call));
    let mut input = Input::ids(["user_a", "user_b"]).with(Purpose::Run(Include));
    let (_, jobs) = input.look_up(&api).await;
    assert_eq!(jobs.len(), 2);
    input.excluded = ExcludeList::of_lines("keep.txt", ["7"]);
    let (ran, jobs) = input.look_up(&api).await;
    assert_eq!(outcomes(&ran), [(0, Outcome::Failed)]);
    assert_eq!(ran.row(0).error_code.as_deref(), Some("untrusted_answer"));
    assert!(jobs.iter().all(|job| job.user.as_str() == "user_b"));
}

#[tokio::test(start_paused = true)]
async fn one_value_that_the_api_refuses_does_not_affect_the_others() {
    let ids: Vec<String> = (0..200).map(|n| format!("user_{n}")).collect();
    let instance: Vec<UserSnapshot> = ids.iter().map(|id| locked(id)).collect();
    let api = Scripted::new(|call| {
        let Asked::LookUp(asked) = &call.asked else { unreachable!() };
        if asked.iter().any(|it| it.as_str() == "user_137") {
            return answer(422, r#"{"errors":[{"code":"form_param_format_invalid"}]}"#);
        }
        found_in(&instance, call)
    });
    let (ran, _) = Input::ids(&ids).look_up(&api).await;
    assert_eq!(ran.counts(), [(Outcome::WouldUnlock, 199), (Outcome::Rejected, 1)]);
    let row = ran.row(137);
    assert_eq!(row.error_code.as_deref(), Some("form_param_format_invalid"));
    assert_eq!(ran.recorded(), (0..200).collect::<Vec<_>>());
    assert!(api.calls().len() <= 2 + 2 * 7, "{} calls", api.calls().len());
}

/// A refusal of the whole request is not repeated in halves.
#[track_caller]
fn is_one_call(code: u16) {
    on_a_paused_clock(async {
        let api = Scripted::new(|_| status(code));
        let (ran, _) = Input::ids((0..100).map(|n| format!("user_{n}"))).look_up(&api).await;
        assert_eq!(ran.counts(), [(Outcome::Rejected, 100)], "{code}");
        assert_eq!(api.calls().len(), 1, "{code}");
    });
}

#[test]
fn a_refusal_of_the_whole_request_applies_to_all_its_users() {
    for code in [204, 301, 302, 308, 404, 405] {
        is_one_call(code);
    }
}

/// After one refusal by a gateway, the halves are requested and succeed.
#[tokio::test(start_paused = true)]
async fn one_refusal_of_100_users_does_not_stop_the_run() {
    let ids: Vec<String> = (0..200).map(|n| format!("user_{n}")).collect();
    let instance: Vec<UserSnapshot> = ids.iter().map(|id| locked(id)).collect();
    for code in [402, 403] {
        let api = Scripted::new(|call| match call.place {
            0 => status(code),
            _ => found_in(&instance, call),
        });
        let (ran, _) = Input::ids(&ids).look_up(&api).await;
        assert_eq!(ran.counts(), [(Outcome::WouldUnlock, 200)], "{code}");
        assert_eq!(api.calls().len(), 2 + 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_key_leaves_no_rows() {
    let api = Scripted::new(|_| status(401));
    let (ran, jobs) = Input::ids(["user_a", "user_b"]).look_up(&api).await;
    assert_eq!(ran.reason, Some(StopReason::Unauthorized));
    assert_eq!((ran.rows().count(), jobs.len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn with_another_user_in_the_answer_no_user_is_missing() {
    let api = Scripted::new(|_| answer(200, r#"[{"id":"user_z","locked":true}]"#));
    let (ran, _) = Input::ids(["user_a", "user_b"]).look_up(&api).await;
    assert_eq!(ran.counts(), [(Outcome::Failed, 2)]);
    assert_eq!(ran.row(0).error_code.as_deref(), Some("untrusted_answer"));
    assert_eq!(api.calls().len(), 3, "it is tried again");
}

#[tokio::test(start_paused = true)]
async fn a_failed_batch_affects_its_own_users_only() {
    let ids: Vec<String> = (0..150).map(|n| format!("user_{n}")).collect();
    let api = Scripted::new(|call| {
        let Asked::LookUp(asked) = &call.asked else { unreachable!() };
        if asked.len() == 100 { timed_out() } else { answer(200, "[]") }
    });
    let (ran, _) = Input::ids(&ids).look_up(&api).await;
    assert_eq!(ran.counts(), [(Outcome::NotFound, 50), (Outcome::Failed, 100)]);
    let row = ran.row(99);
    assert_eq!((row.error_code.as_deref(), row.attempts), (Some("timeout"), 3));
}

#[tokio::test(start_paused = true)]
async fn a_user_without_a_valid_id_fails() {
    let instance = [user("../admin", &["a@x.org"], LOCKED)];
    let api = Scripted::new(|call| found_in(&instance, call));
    let input = Input::emails(&["a@x.org"]).with(Purpose::Run(LeaveAlone));
    let (ran, jobs) = input.look_up(&api).await;
    assert_eq!(outcomes(&ran), [(0, Outcome::Failed)]);
    assert_eq!(ran.row(0).error_code.as_deref(), Some("untrusted_answer"));
    assert!(jobs.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_stopped_look_up_has_rows_and_jobs_for_answered_users_only() {
    let ids: Vec<String> = (0..300).map(|n| format!("user_{n}")).collect();
    let instance: Vec<UserSnapshot> = ids.iter().map(|id| locked(id)).collect();
    let bench = Bench::with_concurrency(1);
    let api = Scripted::new(|call| Played::new(secs(2), secs(2), found_in(&instance, call)));
    let input = Input::ids(&ids).with(Purpose::Run(LeaveAlone));
    let stop = async {
        tokio::time::sleep(secs(5)).await;
        bench.stop.ask(StopReason::Interrupted);
    };
    let ((ran, jobs), ()) = tokio::join!(input.look_up_on(&bench, &api), stop);
    assert_eq!(ran.rows().count(), 0);
    assert_eq!(jobs.iter().map(|job| job.record).collect::<Vec<_>>(), (0..200).collect::<Vec<_>>());
}

/// Records with external IDs of this length.
fn records_of(n: u32, length: usize) -> Records {
    let record = |n| InputRecord::new(1, &format!("{n:0>length$}"));
    let records = (0..n).map(record).collect();
    Records { records, kind: IdentifierKind::ExternalId, ..Records::default() }
}

fn batches_of(records: &Records) -> Vec<Batch> {
    batches(records, (0..).take(records.records.len()).collect()).collect()
}

fn sizes(records: &Records) -> Vec<(usize, usize)> {
    batches_of(records).iter().map(|batch| (batch.first, batch.records.len())).collect()
}

#[test]
fn a_batch_has_at_most_100_users() {
    assert_eq!(sizes(&records_of(250, 20)), [(0, 100), (100, 100), (200, 50)]);
    assert_eq!(sizes(&records_of(0, 20)), []);
}

#[test]
fn identifiers_of_different_kinds_are_not_mixed_in_one_request() {
    let mut records = records_of(6, 9);
    for record in &mut records.records[2..4] {
        *record = record.clone().with_user("user_a".parse().ok());
    }
    assert_eq!(sizes(&records), [(0, 2), (2, 2), (4, 2)]);
}

#[test]
fn long_values_make_smaller_batches() {
    let sizes = sizes(&records_of(100, 250));
    assert!(sizes.len() > 1);
    assert_eq!(sizes.iter().map(|(_, n)| n).sum::<usize>(), 100);
}

#[test]
fn halves_have_the_same_jobs_in_order() {
    let batch = batches_of(&records_of(5, 9)).remove(0);
    let mut halves = batch.clone().halves();
    halves.reverse();
    assert_eq!(halves.iter().map(|half| half.first).collect::<Vec<_>>(), [0, 2]);
    let targets: Vec<Identifier> = halves.into_iter().flat_map(|half| half.targets).collect();
    assert_eq!(targets, batch.targets);
}
