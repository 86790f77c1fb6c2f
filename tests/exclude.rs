//! `--exclude` applies to every command and to every identifier of a user.

mod common;

use std::collections::BTreeSet;

use bulk_unlock::clerk::UserId;
use bulk_unlock::sandbox::Mode;
use common::population::listed;
use common::watch::{FAST, wait_until};
use common::{Stage, list, locked_users};
use fastrand::Rng;
use serde_json::Value;

/// A user of the sandbox, and all identifiers of that user.
struct User {
    id: UserId,
    emails: Vec<String>,
    username: Option<String>,
    external_id: Option<String>,
    phone: Option<String>,
}

impl User {
    fn of(stage: &Stage, id: &UserId) -> Self {
        let user = stage.user(id);
        let text = |value: &Value| value.as_str().map(str::to_owned);
        Self {
            id: id.clone(),
            emails: stage.emails(id),
            username: text(&user["username"]),
            external_id: text(&user["external_id"]),
            phone: text(&user["phone_numbers"][0]["phone_number"]),
        }
    }

    /// The identifier for this value of `--by`.
    fn named_by(&self, by: &str) -> Option<String> {
        match by {
            "user-id" => Some(self.id.to_string()),
            "email" => self.emails.first().cloned(),
            "username" => self.username.clone(),
            "external-id" => self.external_id.clone(),
            _ => self.phone.clone(),
        }
    }

    fn names(&self) -> Vec<String> {
        let others = [&self.username, &self.external_id, &self.phone].into_iter().flatten();
        let id = std::iter::once(self.id.to_string());
        id.chain(self.emails.iter().cloned()).chain(others.cloned()).collect()
    }
}

/// An exclude file with a random identifier of each of these users, in a random format.
fn exclude_file(rng: &mut Rng, users: &[&User]) -> String {
    let delimiter = [",", ";", "\t", "|"][rng.usize(..4)];
    let is_quoted = rng.bool();
    let end = ["\n", "\r\n"][rng.usize(..2)];
    let first = ["", "user_id", "case,user_id", "email;id", "# keep these"][rng.usize(..5)];
    let mut lines = vec![first.to_owned()];
    for user in users {
        let names = user.names();
        let name = names[rng.usize(..names.len())].clone();
        let name = match rng.u8(..6) {
            0 if name.contains('@') => format!("<{}>", name.to_uppercase()),
            1 if name.contains('@') => format!("mailto:{name}"),
            2 if name.starts_with(['+', 'u']) => format!("'{name}"),
            3 => format!(" {name}\u{a0}"),
            _ => name,
        };
        let cell = if is_quoted { format!("\"{name}\"") } else { name };
        let line = match (rng.u8(..6), lines.len()) {
            (0, _) => format!("#{cell}"),
            (1, _) => format!("#4711{delimiter}{cell}{delimiter}note"),
            (2, _) => format!("note{delimiter} {cell}"),
            (3, 2..) => format!("{}{delimiter}{cell}", lines.pop().unwrap_or_default()),
            _ => cell,
        };
        lines.push(line);
    }
    let bom = if rng.bool() { "\u{feff}" } else { "" };
    format!("{bom}{}{end}", lines.join(end))
}

/// The results of a run in which all of these failed.
fn failed_results(cells: &[String]) -> String {
    let header = "line,input,user_id,outcome,http_status,error_code\n".to_owned();
    let rows = cells.iter().enumerate();
    rows.fold(header, |text, (n, cell)| {
        let user_id = if cell.starts_with("user_") { cell.as_str() } else { "" };
        let cell = if cell.starts_with('+') { format!("'{cell}") } else { cell.clone() };
        text + &format!("{},{cell},{user_id},failed,503,http_503\n", n + 2)
    })
}

/// Unlocks the users of `who.csv` in one of several ways. All of them apply the exclude file, most
/// of them because a printed command or an earlier run includes it.
fn unlock(stage: &Stage, way: usize, by: &str, cells: &[String]) {
    let flags = format!("--by {by} --exclude keep.csv --include-admin-locked {FAST}");
    let ends = |line: &str| {
        let ended = stage.run(line);
        assert!(matches!(ended.code, Some(0 | 1)), "{line}: {}", ended.stderr);
        ended
    };
    match way {
        0 => drop(ends(&format!("run who.csv {flags} --yes"))),
        1 => drop(ends(&format!("run who.csv {flags} --yes --only-locked"))),
        2 => {
            let plan = ends(&format!("plan who.csv {flags} --yes"));
            // If no user is left to unlock, no command is printed.
            for command in plan.printed_commands() {
                let ended = stage.run_printed(&command);
                assert!(matches!(ended.code, Some(0 | 1)), "{command}: {}", ended.stderr);
            }
        }
        3 => {
            ends(&format!("run who.csv {flags} --yes --limit 2"));
            ends(&format!("run who.csv --by {by} --include-admin-locked {FAST} --yes --resume"));
        }
        4 => {
            stage.sandbox().set_mode(Mode::AllStatus(500));
            let line = format!("run who.csv {flags} --yes --max-retries 0");
            let failed = stage.run(&line).exits_with(1);
            stage.sandbox().set_mode(Mode::Normal);
            let command = failed.printed_commands().pop().expect("a command");
            let ended = stage.run_printed(&command);
            assert!(matches!(ended.code, Some(0 | 1)), "{command}: {}", ended.stderr);
        }
        5 => {
            let line = format!("run who.csv {flags} --yes --rate 30/s");
            let line = line.replace(FAST, "");
            let running = stage.spawn(&line);
            wait_until("it runs", || stage.path("who.results.csv").exists());
            running.signal("INT");
            let stopped = running.wait();
            for command in stopped.printed_commands().iter().filter(|it| it.contains("--resume")) {
                let ended = stage.run_printed(command);
                assert!(matches!(ended.code, Some(0 | 1)), "{command}: {}", ended.stderr);
            }
        }
        _ => {
            stage.write("earlier.csv", failed_results(cells));
            ends(&format!("run earlier.csv --retry-failed {flags} --yes -o out.csv"));
        }
    }
}

/// Excludes some of the listed users, and checks that all others are called and these are not.
fn check(seed: u64) {
    let mut rng = Rng::with_seed(seed);
    let stage = Stage::with_quick_sandbox();
    let by = ["user-id", "email", "username", "external-id", "phone"][rng.usize(..5)];
    let ids = locked_users(60).split_off(rng.usize(..40));
    // The sandbox gives an identifier of each of these to another user too.
    let twins = listed(50..54);
    let ids = ids.iter().filter(|id| !twins.contains(id));
    let users: Vec<User> = ids.map(|id| User::of(&stage, id)).collect();
    let named = users.iter().filter(|user| user.named_by(by).is_some());
    let named: Vec<&User> = named.take(7).collect();
    let (excluded, others) = named.split_at(rng.usize(1..6));
    let text = exclude_file(&mut rng, excluded);
    stage.write("keep.csv", &text);
    let cells: Vec<String> = named.iter().filter_map(|user| user.named_by(by)).collect();
    let header = by.replace('-', "_");
    stage.write("who.csv", format!("{header}\n{}\n", cells.join("\n")));

    let way = (seed % 7) as usize;
    unlock(&stage, way, by, &cells);
    let posted = stage.posted_users();
    let context = format!("seed {seed}, way {way}, by {by}, exclude file {text:?}");
    for user in excluded {
        assert!(!posted.contains(user.id.as_str()), "{} was called: {context}", user.id);
        assert!(stage.sandbox().is_locked(&user.id), "{} is unlocked: {context}", user.id);
    }
    let expected: BTreeSet<String> = others.iter().map(|user| user.id.to_string()).collect();
    assert_eq!(posted, expected, "{context}");
}

#[test]
fn no_command_calls_an_excluded_user() {
    for seed in 0..49 {
        check(seed);
    }
}

fn stage_of(ids: &[UserId]) -> Stage {
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.txt", list(ids));
    stage
}

/// An input of user IDs does not contain the other identifiers, so users are looked up first.
#[test]
fn an_entry_of_another_kind_than_the_input_causes_a_look_up() {
    let ids = locked_users(3);
    let stage = stage_of(&ids);
    let email = stage.emails(&ids[1]).remove(0).to_uppercase();
    stage.write("keep.txt", format!("name;mail\nAnn;{email}\n"));
    let n_before = stage.sandbox().requests().len();
    let ended = stage.run(&format!("run ids.txt --yes --exclude keep.txt {FAST}")).exits_with(0);
    let ended = ended.prints("Excluding 4 entries in keep.txt");
    let ended = ended.prints("Looking users up first: not all entries in keep.txt are user IDs");
    let ended = ended.prints("Excluded: 4 entries in keep.txt, 1 matched listed users");
    ended.prints("3 matched nobody: \"name\" (line 1), \"mail\" (line 1), \"Ann\" (line 2)");
    assert_eq!(stage.outcomes("ids.results.csv"), ["1 unlocked", "2 excluded", "3 unlocked"]);
    let row = stage.row("ids.results.csv", 2);
    let expected = format!("excluded by \"{email}\" on line 2 of keep.txt");
    assert_eq!(row["error_message"], expected);
    let requests = stage.requests_since(n_before);
    assert_eq!(requests.iter().filter(|it| it.method == "GET").count(), 1);
}

#[test]
fn user_ids_alone_need_no_look_up() {
    let ids = locked_users(3);
    let stage = stage_of(&ids);
    stage.write("keep.txt", format!("# {},{}\nuser_id\n", ids[0], ids[2]));
    let ended = stage.run(&format!("run ids.txt --yes --exclude keep.txt {FAST}")).exits_with(0);
    ended.prints("Excluded: 3 entries in keep.txt, 2 matched listed users");
    assert_eq!(stage.outcomes("ids.results.csv"), ["1 excluded", "2 unlocked", "3 excluded"]);
    assert_eq!(stage.n_requests(), 1);
}

#[test]
fn an_unusable_exclude_file_is_refused() {
    let stage = stage_of(&locked_users(2));
    let line = format!("run ids.txt --yes {FAST} --exclude");
    for (text, message) in [
        (b"".as_slice(), "contains no entry"),
        (b" ,;\n\t|\"\"\n", "contains no entry"),
        (b"user_a\nJos\xe9\n", "keep.txt:2: this is not UTF-8"),
        (b"\xff\xfeu\0s\0e\0r\0", "UTF-16"),
        (b"PK\x03\x04", "Excel workbook"),
        (b"user_a\0", "NUL"),
    ] {
        stage.write("keep.txt", text);
        stage.run_refused(&format!("{line} keep.txt"), 2).prints("keep.txt").prints(message);
    }
    stage.run_refused(&format!("{line} nowhere.txt"), 2).prints("cannot open nowhere.txt");
    stage.run_refused(&format!("{line} ."), 2).prints("is a directory");
    stage.write("keep.txt", locked_users(1)[0].as_str());
    for command in ["plan ids.txt", "run ids.txt --resume --yes"] {
        let refused = stage.run(&format!("{command} {FAST} --exclude none.txt -o out.csv"));
        refused.exits_with(2).prints("none.txt");
    }
}

/// The counts of a resumed run hold for all of its records.
#[test]
fn entries_that_matched_before_a_resume_still_count() {
    let ids = locked_users(4);
    let stage = stage_of(&ids);
    let email = stage.emails(&ids[0]).remove(0);
    stage.write("keep.txt", format!("{email}\n{}\n", ids[1]));
    let line = format!("run ids.txt --yes --exclude keep.txt {FAST}");
    stage.run(&format!("{line} --limit 2")).exits_with(0);
    let ended = stage.run(&format!("{line} --resume")).exits_with(0);
    ended.prints("Excluded: 2 entries in keep.txt, 2 matched listed users");
    let expected = ["1 excluded", "2 excluded", "3 unlocked", "4 unlocked"];
    assert_eq!(stage.outcomes("ids.results.csv"), expected);
}

#[test]
fn files_of_this_program_can_be_exclude_files() {
    let ids = locked_users(3);
    let stage = stage_of(&ids);
    stage.write("one.txt", ids[1].as_str());
    stage.run(&format!("plan one.txt {FAST} -o keep.csv")).exits_with(0);
    for keep in ["keep.csv", "keep.failed.csv"] {
        let text = stage.read(keep);
        stage.write(keep, text.replace(',', ";"));
    }
    let line = format!("run ids.txt --yes --exclude keep.csv {FAST}");
    stage.run(&line).exits_with(0);
    assert_eq!(stage.outcomes("ids.results.csv"), ["1 unlocked", "2 excluded", "3 unlocked"]);
    assert!(!stage.posts().contains_key(ids[1].as_str()));
}

#[test]
fn exclude_files_of_the_flag_and_the_variable_are_combined() {
    let ids = locked_users(3);
    let mut stage = stage_of(&ids);
    stage.write("flag.txt", format!("{}\n", ids[0]));
    stage.write("variable.txt", format!("{}\n", ids[1]));
    stage.set("BULK_UNLOCK_EXCLUDE", "variable.txt");
    stage.run(&format!("run ids.txt --yes --exclude flag.txt {FAST}")).exits_with(0);
    assert_eq!(stage.outcomes("ids.results.csv"), ["1 excluded", "2 excluded", "3 unlocked"]);
    stage.set("BULK_UNLOCK_MAX_USERS", "1");
    let line = format!("run ids.txt --yes --exclude flag.txt --max-users 3 -o other.csv {FAST}");
    stage.run(&line).exits_with(0).prints("--max-users replaces BULK_UNLOCK_MAX_USERS");
}

#[test]
fn a_plan_is_run_with_its_exclude_files_and_resume_refuses_others() {
    let ids = locked_users(3);
    let stage = stage_of(&ids);
    stage.write("keep.txt", format!("{}\n", ids[0]));
    stage.run(&format!("plan ids.txt --limit 2 {FAST}")).exits_with(0);
    let ended = stage.run(&format!("plan ids.txt --resume --exclude keep.txt {FAST}"));
    ended.exits_with(2).prints("make a new plan with --force");

    stage.run(&format!("plan ids.txt --exclude keep.txt --force {FAST}")).exits_with(0);
    stage.write("keep.txt", format!("{}\n{}\n", ids[0], ids[1]));
    let ended = stage.run(&format!("run --plan ids.plan.csv --yes {FAST}")).exits_with(0);
    ended.prints("keep.txt has changed since the earlier run");
    assert_eq!(stage.posted_users(), [ids[2].to_string()].into());
}

/// A username may look like a user ID.
#[test]
fn an_entry_like_a_user_id_is_looked_up_unless_it_has_the_form_of_clerk_ids() {
    let ids = locked_users(2);
    for (entry, n_requests) in [("user_bob", 3), ("user_2NNEqL2nrIRdJ194ndJqAHwEfxC", 2)] {
        let stage = stage_of(&ids);
        stage.write("keep.txt", format!("user_id\n{entry}\n"));
        stage.run(&format!("run ids.txt --yes --exclude keep.txt {FAST}")).exits_with(0);
        assert_eq!(stage.n_requests(), n_requests, "{entry}");
    }
}
