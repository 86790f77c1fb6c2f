//! The samples for job schedulers: rules that their validators do not check.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use common::sample;
use common::{Stage, list, locked_users};
use serde_json::Value;

fn text(name: &str) -> String {
    fs::read_to_string(sample(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The parts of a job that control its pods.
struct Job {
    spec: Value,
    pod: Value,
    container: Value,
    args: Vec<String>,
}

impl Job {
    fn read(name: &str, spec: &str) -> Self {
        let document: Value = serde_norway::from_str(&text(name)).expect("YAML");
        let at = |value: &Value, pointer: &str| {
            value.pointer(pointer).unwrap_or_else(|| panic!("{name}: {pointer}")).clone()
        };
        let spec = at(&document, spec);
        let pod = at(&spec, "/template/spec");
        let container = at(&pod, "/containers/0");
        let args = serde_json::from_value(at(&container, "/args")).expect("arguments");
        Self { spec, pod, container, args }
    }

    /// The value of a flag of the container.
    fn flag(&self, name: &str) -> &str {
        let prefix = format!("--{name}=");
        let value = self.args.iter().find_map(|arg| arg.strip_prefix(&prefix));
        value.unwrap_or_else(|| panic!("--{name}: {:?}", self.args))
    }

    /// What happens to a pod after each exit code of its program.
    fn actions(&self) -> BTreeMap<u64, String> {
        let rules = self.spec["podFailurePolicy"]["rules"].as_array().expect("rules");
        let mut actions = BTreeMap::new();
        for rule in rules.iter().filter(|rule| !rule["onExitCodes"].is_null()) {
            let codes = &rule["onExitCodes"];
            assert_eq!(codes["operator"], "In");
            assert_eq!(codes["containerName"], self.container["name"]);
            for code in codes["values"].as_array().expect("codes") {
                let action = rule["action"].as_str().expect("an action").to_owned();
                assert_eq!(actions.insert(code.as_u64().expect("a code"), action), None, "{code}");
            }
        }
        actions
    }

    #[track_caller]
    fn check(&self) {
        // An evicted pod does not count as a failure, and the next pod waits for its end.
        let rules = &self.spec["podFailurePolicy"]["rules"];
        assert_eq!(rules[0]["action"], "Ignore");
        assert_eq!(rules[0]["onPodConditions"][0]["type"], "DisruptionTarget");
        assert_eq!(self.spec["podReplacementPolicy"], "Failed");
        assert_eq!(self.pod["restartPolicy"], "Never");
        assert!(self.args.contains(&"--resume".to_owned()));

        // The program drains for 10 s, and its own deadline is before that of the job.
        assert!(self.pod["terminationGracePeriodSeconds"].as_u64() > Some(10));
        let minutes = self.flag("max-duration").strip_suffix('m').expect("minutes");
        let minutes: u64 = minutes.parse().expect("a number");
        assert!(self.spec["activeDeadlineSeconds"].as_u64() > Some(minutes * 60));

        // Not root, and only the volumes are writable.
        assert_eq!(self.pod["securityContext"]["runAsNonRoot"], true);
        assert_eq!(self.pod["automountServiceAccountToken"], false);
        assert_eq!(self.pod["enableServiceLinks"], false);
        let security = &self.container["securityContext"];
        assert_eq!(security["readOnlyRootFilesystem"], true);
        assert_eq!(security["allowPrivilegeEscalation"], false);
        assert_eq!(security["capabilities"]["drop"][0], "ALL");

        // Every path is on a volume of the pod, and the key is a file in a secret.
        let names = |list: &Value| -> Vec<String> {
            let items = list.as_array().expect("a list").iter();
            items.map(|it| it["name"].as_str().expect("a name").to_owned()).collect()
        };
        assert_eq!(names(&self.pod["volumes"]), names(&self.container["volumeMounts"]));
        let mounts: Vec<PathBuf> = self.container["volumeMounts"]
            .as_array()
            .expect("mounts")
            .iter()
            .map(|mount| PathBuf::from(mount["mountPath"].as_str().expect("a path")))
            .collect();
        let values = self.args.iter().map(|arg| arg.split_once('=').map_or(&**arg, |it| it.1));
        for path in values.filter(|value| value.starts_with('/')) {
            let on_volume = mounts.iter().any(|mount| PathBuf::from(path).starts_with(mount));
            assert!(on_volume, "{path} is not on {mounts:?}");
        }
        let key = PathBuf::from(self.flag("secret-key-file"));
        let item = &self.pod["volumes"][1]["secret"]["items"][0]["path"];
        assert_eq!(key, mounts[1].join(item.as_str().expect("a file name")));
    }
}

#[test]
fn the_indexed_job_runs_each_shard_once_and_keeps_its_results() {
    let job = Job::read("kubernetes/job.yaml", "/spec");
    job.check();
    assert_eq!(job.spec["completionMode"], "Indexed");
    // Kubernetes requires it for the action FailIndex.
    assert!(job.spec["backoffLimitPerIndex"].as_u64() > Some(0));
    let n_shards = job.spec["completions"].as_u64().expect("a number");
    assert_eq!(job.spec["parallelism"], n_shards);
    assert_eq!(job.flag("shard"), format!("auto/{n_shards}"));
    assert!(job.flag("output").contains("$(JOB_COMPLETION_INDEX)"));
    let actions = job.actions();
    let with = |action: &str| -> Vec<u64> {
        let codes = actions.iter().filter(|(_, it)| *it == action);
        codes.map(|(code, _)| *code).collect()
    };
    assert_eq!(with("FailJob"), [2, 4, 5, 7]);
    assert_eq!(with("FailIndex"), [1, 3, 6]);
    assert_eq!(actions.len(), 7);
}

#[test]
fn the_cron_job_never_runs_concurrently_and_is_not_retried() {
    let job = Job::read("kubernetes/cronjob.yaml", "/spec/jobTemplate/spec");
    job.check();
    let cron: Value = serde_norway::from_str(&text("kubernetes/cronjob.yaml")).expect("YAML");
    assert_eq!(cron["spec"]["concurrencyPolicy"], "Forbid");
    assert_eq!(job.container["env"][0]["name"], "JOB_NAME");
    assert!(job.flag("output").contains("$(JOB_NAME)"));
    let actions = job.actions();
    assert_eq!(actions.keys().copied().collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7]);
    // FailIndex is for indexed jobs.
    assert!(actions.values().all(|action| action == "FailJob"));
}

#[test]
fn the_table_of_exit_codes_matches_the_jobs() {
    let readme = text("README.md");
    let rows = readme.lines().filter_map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        cells[0].parse::<u64>().ok().map(|code| (code, cells))
    });
    let rows: Vec<_> = rows.collect();
    assert_eq!(rows.iter().map(|(code, _)| *code).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5, 6, 7]);
    for (file, spec, column) in [
        ("kubernetes/job.yaml", "/spec", 3),
        ("kubernetes/cronjob.yaml", "/spec/jobTemplate/spec", 4),
    ] {
        let actions = Job::read(file, spec).actions();
        for (code, cells) in rows.iter().filter(|(code, _)| *code > 0) {
            let expected = match actions[code].as_str() {
                "FailJob" => "job fails",
                "FailIndex" => "index fails",
                other => panic!("{other}"),
            };
            assert_eq!(cells[column], expected, "{file}: {code}");
        }
    }
}

/// Runs `cron/unlock-nightly`, and returns its exit code and its pings.
fn run_nightly(stage: &Stage, list: &str) -> (Option<i32>, Vec<String>) {
    stage.write("list.csv", list);
    fs::create_dir_all(stage.path("bin")).expect("a directory");
    let program = stage.path("bin/bulk-unlock");
    let _ = std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_bulk-unlock"), program);
    let curl =
        stage.write("bin/curl", "#!/bin/sh\nfor last; do :; done\necho \"$last\" >> pings\n");
    fs::set_permissions(curl, std::os::unix::fs::PermissionsExt::from_mode(0o700)).expect("curl");
    let key = stage.write("key", stage.sandbox().key());
    fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("a key");
    let results = tempfile::tempdir_in(stage.path("")).expect("a directory");
    let command = stage.command("");
    let mut script = Command::new(sample("cron/unlock-nightly"));
    script.current_dir(stage.path("")).env_clear();
    for (name, value) in command.get_envs() {
        if let Some(value) = value.filter(|_| name != "CLERK_SECRET_KEY") {
            script.env(name, value);
        }
    }
    let path = std::env::var("PATH").expect("PATH");
    script
        .env("PATH", format!("{}:{path}", stage.path("bin").display()))
        .env("LIST", stage.path("list.csv"))
        .env("RESULTS", results.path())
        .env("CLERK_SECRET_KEY_FILE", key)
        .env("PING_URL", "https://hc.example.com/ping/1");
    let output = script.output().expect("the script starts");
    let pings = stage.read("pings");
    fs::remove_file(stage.path("pings")).expect("pings");
    let name = |line: &str| line.rsplit('/').next().unwrap_or_default().to_owned();
    assert!(pings.lines().all(|line| line.starts_with("https://hc.example.com/ping/1/")));
    assert!(!String::from_utf8_lossy(&output.stderr).contains("hc.example.com"));
    (output.status.code(), pings.lines().map(name).collect())
}

#[test]
fn the_cron_script_unlocks_the_list_and_pings_with_the_exit_code() {
    let stage = Stage::with_quick_sandbox();
    let users = locked_users(2);
    let (code, pings) = run_nightly(&stage, &list(&users));
    assert_eq!((code, pings), (Some(0), vec!["start".to_owned(), "0".to_owned()]));
    assert_eq!(stage.sandbox().stats().n_unlocks, 2);
    // A run without users succeeds.
    let (code, pings) = run_nightly(&stage, "");
    assert_eq!((code, pings), (Some(0), vec!["start".to_owned(), "0".to_owned()]));
    let (code, pings) = run_nightly(&stage, &format!("{}nobody\n", list(&users)));
    assert_eq!((code, pings), (Some(1), vec!["start".to_owned(), "1".to_owned()]));
    let (code, pings) = run_nightly(&stage, "user_id\n\"unclosed");
    assert_eq!((code, pings), (Some(2), vec!["start".to_owned(), "2".to_owned()]));
}
