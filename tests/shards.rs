//! `--shard`: several processes, each with its own part of one input.

mod common;

use std::collections::BTreeSet;
use std::time::Duration;

use bulk_unlock::sandbox::{FakeUser, Population, max_in_any};
use common::population::listed_where;
use common::watch::{for_each_in_parallel, slow_config};
use common::{SEED, Stage, list, locked_users, missing_user, users};

fn inputs(stage: &Stage, name: &str) -> BTreeSet<String> {
    stage.rows(name).into_iter().map(|mut row| row.remove("input").expect("a column")).collect()
}

#[test]
fn the_shards_of_a_list_are_disjoint_and_complete() {
    let stage = Stage::with_quick_sandbox();
    let ids = locked_users(40);
    stage.write("users.csv", format!("id\n{}", list(&ids)));
    let mut all = BTreeSet::new();
    for k in 1..=4 {
        let run = stage.run(&format!("run users.csv -y --rate 500/s --shard {k}/4"));
        run.exits_with(0).prints(&format!("Processing shard {k}/4: "));
        let part = inputs(&stage, &format!("users.shard-{k}-of-4.results.csv"));
        assert!(!part.is_empty() && part.is_disjoint(&all), "shard {k}");
        let manifest = stage.json(&format!("users.shard-{k}-of-4.results.manifest.json"));
        assert_eq!(manifest["records"], part.len());
        assert_eq!(manifest["unprocessed"], 0);
        assert_eq!(manifest["settings"]["shard"], format!("{k}/4"));
        all.extend(part);
    }
    assert_eq!(all, ids.iter().map(ToString::to_string).collect());
    assert_eq!(stage.n_posts(), ids.len(), "each user once");
    let files: Vec<String> = (1..=4).map(|k| format!("users.shard-{k}-of-4.results.csv")).collect();
    let report = stage.run(&format!("report {} --json", files.join(" "))).exits_with(0);
    let report: serde_json::Value = serde_json::from_str(&report.stdout).expect("JSON");
    assert_eq!(report["counts"]["unlocked"], ids.len());
}

#[test]
fn spellings_of_one_user_are_duplicates_in_one_shard() {
    let stage = Stage::with_quick_sandbox();
    let id = &locked_users(1)[0];
    stage.write("users.txt", format!("{id}\n  {id}\n{id}\n"));
    let outcomes: Vec<Vec<String>> = (1..=2)
        .map(|k| {
            let line = format!("run users.txt -y --rate 500/s --shard {k}/2 -o {k}.csv");
            stage.run(&line).exits_with(0);
            stage.column(&format!("{k}.csv"), "outcome")
        })
        .collect();
    assert!(outcomes.contains(&vec![]), "{outcomes:?}");
    let all = ["unlocked", "duplicate", "duplicate"].map(str::to_owned).to_vec();
    assert!(outcomes.contains(&all), "{outcomes:?}");
}

#[test]
fn limit_and_skip_apply_to_the_whole_list() {
    let stage = Stage::with_quick_sandbox();
    stage.write("users.txt", list(&users(30)));
    let mut lines = BTreeSet::new();
    for k in 1..=3 {
        stage.run(&format!("plan users.txt --skip 5 --limit 20 --rate 500/s --shard {k}/3"));
        lines.extend(stage.column(&format!("users.shard-{k}-of-3.plan.csv"), "line"));
    }
    assert_eq!(lines, (6..=25).map(|line: u32| line.to_string()).collect());
}

#[test]
fn a_shard_without_records_succeeds_and_an_empty_list_does_not() {
    let stage = Stage::with_quick_sandbox();
    stage.write("one.txt", list(&locked_users(1)));
    for k in 1..=3 {
        stage.run(&format!("run one.txt -y --shard {k}/3")).exits_with(0);
    }
    assert_eq!(stage.n_posts(), 1);
    stage.write("none.txt", "");
    stage.run("run none.txt -y --shard 1/3").exits_with(2).prints("no records");
}

#[test]
fn auto_reads_the_shard_from_the_engine() {
    let mut stage = Stage::with_quick_sandbox();
    stage.write("users.txt", list(&locked_users(8)));
    stage.set("SLURM_ARRAY_TASK_ID", "11");
    stage.set("SLURM_ARRAY_TASK_MIN", "10");
    stage.run("plan users.txt --shard auto").exits_with(2).prints("SLURM_ARRAY_TASK_COUNT");
    stage.set("SLURM_ARRAY_TASK_COUNT", "4");
    stage.set("BULK_UNLOCK_SHARD", "auto");
    let plan = stage.run("plan users.txt").exits_with(0);
    plan.prints("shard 2/4").prints("--shard=2/4");
    stage.unset("BULK_UNLOCK_SHARD");
    stage.set("JOB_COMPLETION_INDEX", "1");
    let both = stage.run("run users.txt -y --shard auto").exits_with(2);
    both.prints("JOB_COMPLETION_INDEX").prints("SLURM_ARRAY_TASK_ID");
    assert_eq!(stage.n_posts(), 0);
}

#[test]
fn a_run_is_not_resumed_as_another_shard() {
    let stage = Stage::with_quick_sandbox();
    stage.write("users.txt", list(&locked_users(8)));
    stage.run("run users.txt -y --shard 1/2 -o r.csv").exits_with(0);
    let n_posts = stage.n_posts();
    for other in ["--shard 2/2", "--shard 1/3", ""] {
        let resumed = stage.run(&format!("run users.txt -y {other} -o r.csv --resume"));
        resumed.exits_with(2).prints("--shard 1/2");
    }
    stage.run("run users.txt -y --shard 1/2 -o r.csv --resume").exits_with(0);
    assert_eq!(stage.n_posts(), n_posts);
}

/// The plan of a shard and its failed users stay in that shard, whatever identifies the users.
#[test]
fn printed_commands_keep_the_shard() {
    let stage = Stage::with_quick_sandbox();
    let has_one =
        |it: &FakeUser| it.is_locked() && !it.is_admin_locked() && it.external_id.is_some();
    let ids = listed_where(12, has_one);
    let population = Population::new(SEED);
    let external_ids = ids.iter().filter_map(|id| population.user(id)?.external_id);
    stage.write("crm.txt", external_ids.collect::<Vec<_>>().join("\n"));
    for k in 1..=2 {
        let plan = stage.run(&format!("plan crm.txt --by external-id --rate 500/s --shard {k}/2"));
        let plan = plan.exits_with(0);
        let n_planned = stage.rows(&format!("crm.shard-{k}-of-2.plan.csv")).len();
        let next = plan.stderr.lines().find(|line| line.contains("--plan=")).expect("a command");
        let words = next.trim().split_once(' ').expect("a command").1;
        stage.run(&format!("{words} -y")).exits_with(0);
        let rows = stage.rows(&format!("crm.shard-{k}-of-2.plan.results.csv"));
        assert_eq!(rows.len(), n_planned, "{words}");
    }
    assert_eq!(stage.n_posts(), ids.len());
}

#[test]
fn a_plan_of_another_shard_is_refused_and_a_plan_of_the_whole_list_is_divided() {
    let stage = Stage::with_quick_sandbox();
    let ids = locked_users(12);
    stage.write("users.txt", list(&ids));
    stage.run("plan users.txt --shard 1/2").exits_with(0);
    let other = stage.run("run --plan users.shard-1-of-2.plan.csv -y --shard 2/2");
    other.exits_with(2).prints("of shard 1/2, but --shard is 2/2");
    assert_eq!(stage.n_posts(), 0);
    stage.run("plan users.txt").exits_with(0);
    for k in 1..=2 {
        stage.run(&format!("run --plan users.plan.csv -y --shard {k}/2")).exits_with(0);
    }
    assert_eq!(stage.n_posts(), ids.len());
    assert!(stage.path("users.plan.shard-1-of-2.results.csv").exists());
}

#[test]
fn the_printed_verify_of_a_shard_divides_the_quota_share() {
    let stage = Stage::with_quick_sandbox();
    stage.write("users.txt", list(&locked_users(8)));
    let run = stage.run("run users.txt -y --shard 1/4").exits_with(0);
    run.prints("verify users.shard-1-of-4.results.csv").prints("--quota-share=12.5%");
}

#[test]
fn a_share_that_cannot_be_divided_is_refused() {
    let stage = Stage::with_quick_sandbox();
    stage.write("users.txt", list(&[missing_user()]));
    let run = stage.run("run users.txt -y --quota 10/1s --shard 1/6").exits_with(2);
    run.prints("6 shards cannot divide 5 requests per window");
    assert_eq!(stage.sandbox().stats().n_requests, 0);
}

/// Runs two shards, one after the other, and returns their results files.
fn two_shards(stage: &Stage) -> [String; 2] {
    stage.write("users.txt", list(&locked_users(12)));
    [1, 2].map(|k| {
        stage.run(&format!("run users.txt -y --rate 500/s --shard {k}/2")).exits_with(0);
        format!("users.shard-{k}-of-2.results.csv")
    })
}

#[test]
fn report_prints_the_next_step_of_each_shard_that_needs_one() {
    let stage = Stage::with_quick_sandbox();
    let [one, two] = two_shards(&stage);
    let report = stage.run(&format!("report {one} {two}")).exits_with(0).stdout;
    for file in [&one, &two] {
        assert!(report.contains(&format!("verify {file}")), "{report}");
    }
    stage.run(&format!("verify {two}")).exits_with(0);
    let verified = "users.shard-2-of-2.results.verify.csv";
    let report = stage.run(&format!("report {one} {verified} {two}")).exits_with(0).stdout;
    assert!(report.contains(&format!("verify {one}")), "{report}");
    assert!(!report.contains(&format!("verify {two}")), "{report}");
}

#[test]
fn the_duration_of_simultaneous_shards_is_from_the_earliest_start_to_the_latest_end() {
    let stage = Stage::with_quick_sandbox();
    let shards = two_shards(&stage);
    let times = [("03:00:00", "03:00:40"), ("03:00:10", "03:01:00")];
    for (results, (start, end)) in shards.iter().zip(times) {
        let name = results.replace(".csv", ".manifest.json");
        let mut manifest = stage.json(&name);
        manifest["passes"][0]["started_at"] = format!("2026-01-31T{start}.000Z").into();
        manifest["passes"][0]["finished_at"] = format!("2026-01-31T{end}.000Z").into();
        stage.write(&name, manifest.to_string());
    }
    let report = stage.run(&format!("report {} --json", shards.join(" "))).exits_with(0).stdout;
    let report: serde_json::Value = serde_json::from_str(&report).expect("JSON");
    assert_eq!(report["elapsed_seconds"], 60.0);
}

/// Four shards on one machine have a quarter of the share each: together they use all of it and no
/// more.
#[test]
fn shards_on_one_machine_use_the_whole_share_together() {
    const SHARE: usize = 40;
    let window = Duration::from_secs(2);
    for_each_in_parallel(["", "--burst"], |burst| {
        let stage = Stage::with_sandbox(slow_config("5ms..30ms").quota("40/2s".parse().ok()));
        let ids = locked_users(4 * SHARE);
        stage.write("users.txt", list(&ids));
        let flags = format!("--quota 40/2s --quota-share 100% {burst}");
        let shards: Vec<_> = (1..=4)
            .map(|k| stage.spawn(&format!("run users.txt -y {flags} --shard {k}/4")))
            .collect();
        for shard in shards {
            shard.wait().exits_with(0);
        }
        let requests = stage.sandbox().requests();
        assert_eq!(requests.len(), ids.len());
        let most = max_in_any(&requests, window);
        // A quarter of the share for all of them would be 10.
        assert!(most > SHARE / 2 && most <= SHARE, "{most} of {SHARE} in a window {burst}");
        assert_eq!(stage.sandbox().stats().by_status.get(&429), None);
    });
}
