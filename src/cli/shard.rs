//! `--shard`: the part of the input for this process, from the flag or from the variables of an
//! engine that starts several processes.

use std::num::NonZeroU32;

use serde_json::Value;

use super::args::PaceArgs;
use crate::job::{Effective, Failure};
use crate::policy::shard::Shard;
use crate::results::Manifest;

/// The value of `--shard`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ShardArg {
    /// `K/N`.
    Part(Shard),
    /// `auto`, or `auto/N` where the engine sets no count.
    Auto(Option<NonZeroU32>),
}

/// Parses `K/N`, `auto`, or `auto/N`.
pub(super) fn shard(text: &str) -> Result<ShardArg, String> {
    let hint = "a shard is written as K/N, with K from 1 to N, such as 2/4; or as auto or auto/N";
    let invalid = || hint.to_owned();
    match text.strip_prefix("auto") {
        Some("") => Ok(ShardArg::Auto(None)),
        Some(rest) => {
            let count = rest.strip_prefix('/').and_then(|count| count.parse().ok());
            count.map(|count| ShardArg::Auto(Some(count))).ok_or_else(invalid)
        }
        None => text.parse().map(ShardArg::Part).map_err(|_| invalid()),
    }
}

/// The variables of an engine that starts the processes of a job.
struct Engine {
    name: &'static str,
    index: &'static str,
    /// The index of the first process, or the variable that holds it.
    first: Result<u32, &'static str>,
    count: Option<&'static str>,
}

const ENGINES: [Engine; 5] = [
    Engine { name: "Kubernetes", index: "JOB_COMPLETION_INDEX", first: Ok(0), count: None },
    Engine {
        name: "Cloud Run",
        index: "CLOUD_RUN_TASK_INDEX",
        first: Ok(0),
        count: Some("CLOUD_RUN_TASK_COUNT"),
    },
    Engine {
        name: "AWS Batch",
        index: "AWS_BATCH_JOB_ARRAY_INDEX",
        first: Ok(0),
        count: Some("AWS_BATCH_JOB_ARRAY_SIZE"),
    },
    // GitLab sets CI_NODE_TOTAL in every job, but the index only with `parallel`.
    Engine { name: "GitLab", index: "CI_NODE_INDEX", first: Ok(1), count: Some("CI_NODE_TOTAL") },
    Engine {
        name: "Slurm",
        index: "SLURM_ARRAY_TASK_ID",
        first: Err("SLURM_ARRAY_TASK_MIN"),
        count: Some("SLURM_ARRAY_TASK_COUNT"),
    },
];

/// The value of a variable; `None` where it is not set.
type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The part of the input for this process. Replaces `auto` in the settings, and divides the share.
pub(super) fn apply(
    arg: Option<ShardArg>,
    pace: &mut PaceArgs,
    effective: &mut Effective,
) -> Result<Option<Shard>, Failure> {
    let Some(arg) = arg else { return Ok(None) };
    let variable =
        |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    let shard = resolve(arg, &variable).map_err(Failure::usage)?;
    effective.set_value("shard", shard.to_string());
    pace.shards = shard.count().get();
    if pace.rate.is_none() {
        // Printed commands may have no shards: they repeat the undivided share.
        let percent = format!("{}%", pace.quota_share);
        effective.line = effective.line.clone().value("quota-share", percent);
    }
    Ok(Some(shard))
}

/// Refuses a plan or a results file of another shard: none of its users would be processed.
pub(super) fn check_same(shard: Option<Shard>, manifest: &Manifest) -> Result<(), Failure> {
    let of_file = manifest.setting("shard").and_then(Value::as_str);
    match (shard.map(|shard| shard.to_string()), of_file) {
        (Some(shard), Some(of_file)) if shard != of_file => Err(Failure::usage(format!(
            "the file is of shard {of_file}, but --shard is {shard}; give the file of this shard"
        ))),
        _ => Ok(()),
    }
}

fn resolve(arg: ShardArg, variables: Variables<'_>) -> Result<Shard, String> {
    let given = match arg {
        ShardArg::Part(shard) => return Ok(shard),
        ShardArg::Auto(count) => count,
    };
    let number = |name: &str| {
        let value = variables(name).ok_or_else(|| format!("--shard auto: {name} is not set"))?;
        value.trim().parse::<u32>().map_err(|_| {
            format!("--shard auto: {name} is \"{}\", expected a number", value.escape_debug())
        })
    };
    let engines: Vec<&Engine> = ENGINES.iter().filter(|it| variables(it.index).is_some()).collect();
    let Engine { name, index, first, count } = match engines[..] {
        [engine] => engine,
        [] => {
            return Err(format!(
                "--shard auto: none of {} is set; give --shard K/N",
                ENGINES.map(|engine| engine.index).join(", ")
            ));
        }
        [one, other, ..] => {
            return Err(format!(
                "--shard auto: both {} ({}) and {} ({}) are set; give --shard K/N, or unset one \
                 of them",
                one.index, one.name, other.index, other.name
            ));
        }
    };
    let set = count.filter(|count| variables(count).is_some());
    let n_shards = match (set, given, count) {
        (Some(count), given, _) => {
            let n = NonZeroU32::new(number(count)?)
                .ok_or_else(|| format!("--shard auto: {count} is 0"))?;
            if let Some(given) = given.filter(|&given| given != n) {
                return Err(format!("--shard auto/{given}: {count} is {n}"));
            }
            n
        }
        (None, Some(given), _) => given,
        (None, None, Some(count)) => {
            return Err(format!("--shard auto: {index} is set, but {count} is not"));
        }
        (None, None, None) => {
            return Err(format!(
                "--shard auto: {name} sets {index} but no count; give --shard auto/N with the \
                 number of completions"
            ));
        }
    };
    let id = number(index)?;
    let first = first.or_else(number)?;
    let shard = id.checked_sub(first).and_then(|at| Shard::new(at, n_shards.get()).ok());
    shard.ok_or_else(|| {
        let last = u64::from(first) + u64::from(n_shards.get()) - 1;
        format!(
            "--shard auto: {index} is {id}, but {name} must number {n_shards} shards from {first} \
             to {last}"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(arg: &str, set: &[(&str, &str)]) -> Result<String, String> {
        let find = |name: &str| {
            set.iter().find(|(it, _)| *it == name).map(|(_, value)| (*value).to_owned())
        };
        resolve(shard(arg).unwrap(), &find).map(|shard| shard.to_string())
    }

    #[track_caller]
    fn check(arg: &str, set: &[(&str, &str)], expected: &str) {
        assert_eq!(resolved(arg, set).as_deref(), Ok(expected), "{arg} {set:?}");
    }

    #[track_caller]
    fn refused(arg: &str, set: &[(&str, &str)], names: &[&str]) {
        let why = resolved(arg, set).unwrap_err();
        assert!(names.iter().all(|name| why.contains(name)), "{arg} {set:?}: {why}");
    }

    #[test]
    fn auto_reads_the_variables_of_each_engine() {
        check("2/4", &[], "2/4");
        check("auto/4", &[("JOB_COMPLETION_INDEX", "0")], "1/4");
        check("auto/4", &[("JOB_COMPLETION_INDEX", "3")], "4/4");
        check("auto", &[("CLOUD_RUN_TASK_INDEX", "1"), ("CLOUD_RUN_TASK_COUNT", "4")], "2/4");
        let batch = [("AWS_BATCH_JOB_ARRAY_INDEX", "0"), ("AWS_BATCH_JOB_ARRAY_SIZE", "2")];
        check("auto", &batch, "1/2");
        check("auto", &[("CI_NODE_INDEX", "1"), ("CI_NODE_TOTAL", "4")], "1/4");
        check("auto", &[("CI_NODE_INDEX", "4"), ("CI_NODE_TOTAL", "4")], "4/4");
        for (id, min, expected) in [("0", "0", "1/4"), ("4", "1", "4/4"), ("102", "100", "3/4")] {
            let slurm = [
                ("SLURM_ARRAY_TASK_ID", id),
                ("SLURM_ARRAY_TASK_MIN", min),
                ("SLURM_ARRAY_TASK_COUNT", "4"),
            ];
            check("auto", &slurm, expected);
            check("auto/4", &slurm, expected);
        }
    }

    #[test]
    fn incomplete_or_ambiguous_variables_are_refused() {
        refused("auto", &[], &["JOB_COMPLETION_INDEX", "SLURM_ARRAY_TASK_ID", "K/N"]);
        refused("auto/4", &[], &["CLOUD_RUN_TASK_INDEX"]);
        refused("auto", &[("JOB_COMPLETION_INDEX", "0")], &["JOB_COMPLETION_INDEX", "auto/N"]);
        refused("auto", &[("CLOUD_RUN_TASK_INDEX", "0")], &["CLOUD_RUN_TASK_COUNT is not"]);
        let two = [("JOB_COMPLETION_INDEX", "0"), ("CI_NODE_INDEX", "1"), ("CI_NODE_TOTAL", "4")];
        refused("auto/4", &two, &["JOB_COMPLETION_INDEX", "CI_NODE_INDEX"]);
        refused(
            "auto/4",
            &[("JOB_COMPLETION_INDEX", "4")],
            &["JOB_COMPLETION_INDEX is 4", "0 to 3"],
        );
        refused(
            "auto",
            &[("CI_NODE_INDEX", "0"), ("CI_NODE_TOTAL", "4")],
            &["CI_NODE_INDEX is 0", "1 to 4"],
        );
        refused("auto/4", &[("JOB_COMPLETION_INDEX", "")], &["JOB_COMPLETION_INDEX is \"\""]);
        refused(
            "auto/4",
            &[("JOB_COMPLETION_INDEX", "x\n")],
            &["JOB_COMPLETION_INDEX is \"x\\n\""],
        );
        let gitlab = [("CI_NODE_INDEX", "1"), ("CI_NODE_TOTAL", "4")];
        refused("auto/3", &gitlab, &["auto/3", "CI_NODE_TOTAL is 4"]);
        let zero = [("CI_NODE_INDEX", "1"), ("CI_NODE_TOTAL", "0")];
        refused("auto", &zero, &["CI_NODE_TOTAL is 0"]);
        let no_first = [("SLURM_ARRAY_TASK_ID", "1"), ("SLURM_ARRAY_TASK_COUNT", "4")];
        refused("auto", &no_first, &["SLURM_ARRAY_TASK_MIN is not set"]);
        // --array=0,2: the second of two.
        let gap = [("SLURM_ARRAY_TASK_MIN", "0"), ("SLURM_ARRAY_TASK_COUNT", "2")];
        let gap = [gap[0], gap[1], ("SLURM_ARRAY_TASK_ID", "2")];
        refused("auto", &gap, &["SLURM_ARRAY_TASK_ID is 2"]);
    }

    #[test]
    fn malformed_shard_is_refused() {
        for text in ["", "0/4", "5/4", "4", "auto/", "auto/0", "auto/x", "auto4", "AUTO", "1/0"] {
            assert!(shard(text).is_err(), "{text}");
        }
    }
}
