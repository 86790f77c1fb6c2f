//! The files in `samples/` and the commands in the README.

mod common;

use common::normalize::without_times;
use common::{Stage, list, locked_users, sample};

/// A sandbox without latency.
const SANDBOX: &str = "--sandbox --sandbox-latency 0ms";

/// Runs a command on a sample and checks that each record has one row or is unprocessed.
#[track_caller]
fn check(stage: &Stage, command: &str, name: &str, flags: &str, code: i32) {
    let line = format!("{command} {} {SANDBOX} {flags} -o out.csv --force", sample(name));
    stage.run(&line).exits_with(code);
    let manifest = stage.json("out.manifest.json");
    let (rows, rest) = (stage.rows("out.csv"), stage.rows("out.unprocessed.csv"));
    assert_eq!(manifest["records"], rows.len() + rest.len(), "{line}");
    let mut lines: Vec<&str> = rows.iter().chain(&rest).map(|row| row["line"].as_str()).collect();
    lines.sort_unstable();
    lines.dedup();
    assert_eq!(manifest["records"], lines.len(), "{line}: a record has two rows");
}

#[test]
fn each_record_of_each_sample_has_one_row() {
    let stage = Stage::new();
    for (name, flags, n_records, code) in [
        ("clerk-export.csv", "", 200, 0),
        ("locked-users.txt", "", 39, 0),
        ("mistakes.csv", "--lenient", 39, 1),
        ("exclude.txt", "", 5, 0),
    ] {
        check(&stage, "run", name, flags, code);
        assert_eq!(stage.rows("out.csv").len(), n_records, "{name}");
        check(&stage, "plan", name, flags, 0);
        assert_eq!(stage.rows("out.csv").len(), n_records, "{name}");
    }
}

#[test]
fn stopped_run_accounts_for_every_record() {
    let stage = Stage::new();
    check(&stage, "run", "clerk-export.csv", "--max-fail 1 --sandbox-faults escapes=30%", 3);
    assert!(!stage.rows("out.unprocessed.csv").is_empty());
}

#[test]
fn all_users_are_unlocked_despite_faults_in_20_percent_of_responses() {
    let stage = Stage::new();
    let flags = "--sandbox-faults 20% --sandbox-quota none --quota 1000/1s";
    check(&stage, "run", "clerk-export.csv", flags, 0);
    let outcomes = stage.column("out.csv", "outcome");
    assert!(outcomes.iter().all(|outcome| outcome == "unlocked"), "{outcomes:?}");
    assert!(stage.json("out.manifest.json")["passes"][0]["retries"].as_u64() > Some(10));
}

#[test]
fn excluded_sample_users_are_not_unlocked() {
    let stage = Stage::new();
    let flags = format!("--exclude {}", sample("exclude.txt"));
    check(&stage, "run", "locked-users.txt", &flags, 0);
    let outcomes = stage.column("out.csv", "outcome");
    assert_eq!(outcomes.iter().filter(|outcome| *outcome == "excluded").count(), 3);
}

#[test]
fn each_mistake_has_an_outcome_and_a_reason() {
    let stage = Stage::new();
    check(&stage, "run", "mistakes.csv", "--lenient --carry Ticket", 1);
    let columns = ["line", "in_Ticket", "outcome", "error_message"];
    let [lines, tickets, outcomes, reasons] = columns.map(|it| stage.column("out.csv", it));
    let of = |at: usize| {
        format!("{} {} {}  {}", lines[at], tickets[at], outcomes[at], reasons[at]).trim().to_owned()
    };
    let rows: Vec<String> = (0..lines.len()).map(of).collect();
    insta::assert_snapshot!(rows.join("\n"), @r#"
    3 T-1 unlocked
    4 T-2 unlocked
    5 T-3 unlocked
    6 T-4 duplicate  the same user is on line 3
    7 T-5 duplicate  the same user is on line 5
    9 T-6 invalid  the cell is empty
    10 T-7 invalid  the cell is empty
    12 T-8 invalid  a user id starts with "user_"; this looks like the id of another kind of object
    13 T-9 invalid  a user id starts with "user_"; this looks like the id of another kind of object
    14 T-10 invalid  a space is not allowed in a user id; only ASCII letters and digits follow "user_"
    15 T-11 invalid  "," is not allowed in a user id; only ASCII letters and digits follow "user_"
    16 T-12 invalid  87 characters follow "user_"; a user id has at most 64
    17 T-13 invalid  nothing follows "user_"
    18 T-14 invalid  a user id starts with "user_"
    19 T-15 invalid  a user id starts with "user_"
    20 T-16 invalid  a user id starts with "user_"
    21 T-17 invalid  a user id starts with "user_"
    22 T-18 invalid  "/" is not allowed in a user id; only ASCII letters and digits follow "user_"
    23 T-19 invalid  a user id starts with "user_"
    24 T-20 invalid  a user id starts with "user_"
    25 T-21 invalid  a user id starts with "user_"
    26 T-22 invalid  a user id starts with "user_"
    27  invalid  the cell is empty
    28  unlocked
    29 T-23 unlocked
    30 T-24 unlocked
    32 T-25 invalid  a space is not allowed in a user id; only ASCII letters and digits follow "user_"
    34 T-26 invalid  a space is not allowed in a user id; only ASCII letters and digits follow "user_"
    35 T-27 invalid  a user id starts with "user_"
    36 T-28 invalid  the character U+200B is not allowed in a user id; only ASCII letters and digits follow "user_"
    37 T-29 unlocked
    38 T-30 invalid  a user id starts with "user_"
    39 T-31 invalid  a user id starts with "user_"
    40 T-32 invalid  a user id starts with "user_"
    41 T-33 unlocked
    42 T-34 unlocked
    43 T-35 unlocked
    44 Ticket invalid  the cell repeats the column header
    45 T-36 unlocked
    "#);
}

/// The fenced blocks of the README.
fn readme_blocks() -> Vec<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let readme = std::fs::read_to_string(path).expect("the README");
    let odd = readme.split("\n```").skip(1).step_by(2);
    odd.filter_map(|block| block.split_once('\n')).map(|(_, text)| text.to_owned()).collect()
}

#[test]
fn readme_shows_the_output_of_its_first_command() {
    let blocks = readme_blocks();
    let line = blocks[0].strip_prefix("cargo run -- ").expect("the first command");
    let expected = blocks.iter().find(|it| it.contains("\nDone: ")).expect("its output");
    let stage = Stage::new();
    std::fs::create_dir(stage.path("samples")).expect("a directory");
    stage.write("samples/clerk-export.csv", std::fs::read(sample("clerk-export.csv")).expect("it"));
    let ended = stage.run(line).exits_with(0);
    assert_eq!(ended.stdout, "");
    assert_eq!(ended.normalized_stderr().trim_end(), without_times(expected));
    let left = expected.lines().filter_map(|line| line.split_whitespace().nth(1));
    let left: Vec<_> = left.filter(|it| it.starts_with("clerk-export.")).collect();
    assert_eq!(left.len(), 4, "four files are left: {left:?}");
    assert!(left.iter().all(|name| stage.path(name).is_file()));
}

/// The commands run with the hash of the plan and a shorter watch.
#[test]
fn commands_of_the_incident_in_the_readme_work() {
    let mut stage = Stage::with_users(300);
    stage.set("BULK_UNLOCK_YES", "true");
    stage.set("BULK_UNLOCK_RATE", "100000/s");
    stage.write("compromised.csv", list(&locked_users(2)));
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md"));
    let readme = readme.expect("the README");
    let (_, incident) = readme.split_once("## An incident").expect("the incident");
    let (incident, _) = incident.split_once("\n## ").expect("the next section");
    let blocks: Vec<&str> = incident.split("```sh\n").skip(1).collect();
    let lines = blocks.iter().filter_map(|block| block.split("```").next());
    let lines = lines.map(|block| block.replace("\\\n", " ")).collect::<Vec<_>>().join("\n");
    let mut n_commands = 0;
    for line in lines.lines().filter_map(|line| line.trim().strip_prefix("bulk-unlock ")) {
        let line = line.replace("--watch 1h", "--watch 1s");
        let has_hash = line.contains("HASH");
        let hash = if has_hash { stage.sha256("locked.plan.csv") } else { String::new() };
        let line = line.replace("HASH", &hash);
        stage.run(&line).exits_with(0);
        n_commands += 1;
    }
    assert_eq!(n_commands, 4);
    let outcomes = stage.column("locked.plan.csv", "outcome");
    assert_eq!(outcomes.iter().filter(|outcome| *outcome == "excluded").count(), 2);
    stage.check_all_outcomes("locked.plan.results.csv", "unlocked");
    stage.check_all_outcomes("locked.plan.results.verify.csv", "still_unlocked");
    assert!(stage.read("incident.html").contains("INC-4711"));
}
