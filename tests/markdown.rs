//! `report --markdown`: the page for a pull request or a job summary.

mod common;

use bulk_unlock::sandbox::{SandboxConfig, Script, Scripted};
use common::{Ended, Stage, list, locked_users, missing_user};
use sha2::{Digest as _, Sha256};

const REASON: &str = "INC-1 | <b>`x`</b> *y*";
const MESSAGE: &str = "<script>alert(1)</script>";

/// A finished run of twelve users: nine unlocked, one not found, one refused, one a duplicate.
fn finished() -> Stage {
    let mut ids = locked_users(10);
    let body = format!(r#"{{"errors":[{{"code":"form_param_invalid","message":"{MESSAGE}"}}]}}"#);
    let refused = Scripted::status(422).with_body(body);
    let script: Script = [(ids[0].clone(), [refused].into())].into();
    let stage = Stage::with_sandbox(SandboxConfig::default().script(script));
    ids.push(missing_user());
    ids.push(ids[1].clone());
    stage.write("ids.txt", list(&ids));
    let reason = shell_words::quote(REASON);
    stage.run(&format!("run ids.txt --yes --quota 1000/1s --reason {reason}")).exits_with(1);
    stage
}

/// The text on stdout.
#[track_caller]
fn printed(stage: &Stage, line: &str) -> String {
    stage.run(line).exits_with(0).stdout
}

#[track_caller]
fn sha256(stage: &Stage, name: &str) -> String {
    hex::encode(Sha256::digest(stage.read(name)))
}

/// The only line after the opening of a code block.
#[track_caller]
fn command(page: &str) -> &str {
    let (_, block) = page.split_once("\n```sh\n").expect("a code block");
    block.split_once("\n```\n").expect("its end").0
}

#[track_caller]
fn has_line(page: &str, line: &str) {
    assert!(page.lines().any(|it| it == line), "{line:?} is not in\n{page}");
}

#[test]
fn the_page_has_title_result_outcomes_errors_files_and_next_step() {
    let stage = finished();
    let page = printed(&stage, "report ids.results.csv --markdown -");
    let title = r"# INC-1 &#124; &#60;b&#62;\`x\`&#60;/b&#62; \*y\* – Unlock run";
    assert!(page.starts_with(&format!("{title}\n\n**Done: unlocked 9 of 12 users in ")), "{page}");
    has_line(&page, "| `unlocked` | 9 | 75 % | unlocked by this run |");
    has_line(&page, "| `not_found` | 1 | 8.3 % | user does not exist |");
    let example = locked_users(1).remove(0);
    assert!(page.contains("| `form_param_invalid` | 1 | The API rejected a value of the request."));
    assert!(page.contains(&format!(" | line 1 {example} |\n")), "{page}");
    for (role, name) in [("input", "ids.txt"), ("results", "ids.results.csv")] {
        has_line(&page, &format!("| {role} | `{name}` | `{}` |", sha256(&stage, name)));
    }
    let next = &stage.json("ids.results.manifest.json")["next"];
    assert_eq!(command(&page), next.as_str().expect("a command"));
}

#[test]
fn neither_names_nor_addresses_nor_messages_are_on_the_page() {
    let stage = finished();
    let line = "report ids.results.csv --markdown - --report-pii --html page.html";
    let page = printed(&stage, line);
    assert!(!page.contains("alert(1)"), "{page}");
    for column in ["email", "username", "first_name", "last_name", "external_id"] {
        let values = stage.column("ids.results.csv", column);
        let found: Vec<&String> =
            values.iter().filter(|it| it.len() > 3 && page.contains(it.as_str())).collect();
        assert_eq!(found, Vec::<&String>::new(), "{column}");
    }
    assert!(stage.column("ids.results.csv", "email").iter().any(|it| !it.is_empty()));
}

#[test]
fn the_page_on_stdout_replaces_the_summary_and_a_file_does_not() {
    let stage = finished();
    let page = printed(&stage, "report ids.results.csv --markdown -");
    assert!(!page.contains("Next step:"), "{page}");
    let ended = stage.run("report ids.results.csv --markdown page.md").exits_with(0);
    let ended = ended.prints("wrote the page page.md");
    assert!(ended.stdout.contains("Next step:"), "{}", ended.stdout);
    // The last line has the time at which the page was made.
    let body = |page: &str| page.rsplit_once("\n\n").expect("a last line").0.to_owned();
    assert_eq!(body(&stage.read("page.md")), body(&page));
}

#[test]
fn the_html_and_the_markdown_page_can_be_written_together() {
    let stage = finished();
    let line = "report ids.results.csv --html page.html --markdown page.md --json";
    let ended = stage.run(line).exits_with(0);
    let json: serde_json::Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!(json["counts"]["unlocked"], 9);
    assert!(stage.read("page.html").starts_with("<!DOCTYPE html>"));
    assert!(stage.read("page.md").starts_with("# INC-1 "));
}

#[test]
fn an_existing_page_is_overwritten_only_with_force() {
    let stage = finished();
    stage.write("page.md", "other content");
    let line = "report ids.results.csv --markdown page.md";
    stage.run(&format!("{line} --html page.html")).exits_with(6).prints(
        "page.md already exists; use --force to overwrite it, or name another file with --markdown",
    );
    assert_eq!(stage.read("page.md"), "other content");
    assert!(!stage.files().contains(&"page.html".to_owned()), "nothing is written");
    stage.run(&format!("{line} --force")).exits_with(0);
    assert!(stage.read("page.md").starts_with("# INC-1 "));
}

#[test]
fn two_outputs_to_one_file_are_refused() {
    let stage = finished();
    let results = stage.read("ids.results.csv");
    let check = |flags: &str, why: &str| {
        let line = format!("report ids.results.csv --force {flags}");
        let ended = stage.run(&line).exits_with(2);
        let message = if flags.contains("--json") { &ended.stdout } else { &ended.stderr };
        assert!(message.contains(why), "{message}");
        assert!(!ended.stdout.contains("# INC-1"), "{}", ended.stdout);
    };
    check("--json --markdown -", "--json and `--markdown -` both write to stdout");
    check("--html p --markdown p", "p would be written as two different files");
    check("--html p --markdown ./p", "p would be written as two different files");
    check("--markdown ids.results.csv", "ids.results.csv is both an input and an output");
    assert_eq!(stage.read("ids.results.csv"), results);
    assert!(!stage.files().contains(&"p".to_owned()));
}

#[test]
fn a_page_is_not_appended_to_its_own_results_file() {
    let stage = finished();
    let results = stage.read("ids.results.csv");
    let path = stage.path("ids.results.csv");
    let file = std::fs::File::options().append(true).open(path).expect("the results");
    let mut command = stage.command("report ids.results.csv --markdown -");
    let output = command.stdout(file).output().expect("the program starts");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("stdout is redirected to"));
    assert_eq!(stage.read("ids.results.csv"), results);
}

#[test]
fn several_files_are_listed_in_the_order_of_time() {
    let stage = finished();
    stage.run("verify ids.results.csv --quota 1000/1s").exits_with(0);
    let page = printed(&stage, "report ids.results.verify.csv ids.results.csv --markdown -");
    has_line(&page, "| Began (UTC) | Command | File | Result | Exit code |");
    let position = |cells: &str| page.find(cells).unwrap_or_else(|| panic!("{cells}: {page}"));
    let run = position("| run | `ids.results.csv` | Done: unlocked 9 of 12 users");
    let verify = position("| verify | `ids.results.verify.csv` | Verified: 9 of 9 users");
    assert!(run < verify);
    has_line(&page, "| `still_unlocked` | 9 | 81.8 % | read back: not locked |");
}

/// Runs the command on the page of a plan.
#[track_caller]
fn run_from_page(stage: &Stage, command: &str) -> Ended {
    stage.run_printed(&format!("{command} --yes --quiet"))
}

#[test]
fn the_pages_of_a_plan_show_its_hash_and_the_command_for_the_operator() {
    let stage = finished();
    let plan = "plan ids.txt --quota 1000/1s --exclude keep.txt --report plan.html";
    stage.write("keep.txt", list(&locked_users(3)[2..]));
    stage.run(plan).exits_with(0);
    let hash = sha256(&stage, "ids.plan.csv");
    let page = printed(&stage, "report ids.plan.csv --markdown -");
    has_line(&page, &format!("| Plan SHA-256 | `{hash}` |"));
    has_line(&page, "| `would_unlock` | 1 | 8.3 % | locked; the run would unlock this user |");
    assert!(page.contains("Command for the operator. It runs exactly this plan"), "{page}");
    let command = command(&page);
    assert!(command.contains(&format!("--plan-sha256={hash}")), "{command}");
    assert!(command.contains("--exclude=keep.txt"), "{command}");
    let html = stage.read("plan.html");
    assert!(html.contains(&format!("<dt>Plan SHA-256</dt><dd class=\"code\"><span>{hash}</span>")));
    assert!(html.contains("<p>Command for the operator. It runs exactly this plan"));
    assert!(html.contains("data-outcome=\"would_unlock\" data-count=\"1\">1</td>"));
    assert!(html.contains(&format!("<span>--plan-sha256={hash}</span>")));
    run_from_page(&stage, command).exits_with(0);
}

#[test]
fn the_command_on_the_page_refuses_a_changed_plan() {
    let stage = finished();
    stage.run("plan ids.txt --quota 1000/1s").exits_with(0);
    let approved = printed(&stage, "report ids.plan.csv --markdown -");
    let changed = stage.read("ids.plan.csv").replacen("already_unlocked", "would_unlock", 1);
    stage.write("ids.plan.csv", changed);
    run_from_page(&stage, command(&approved)).exits_with(2);
    let page = printed(&stage, "report ids.plan.csv --markdown -");
    has_line(&page, "> Warning: ids.plan.csv was changed since its manifest was written.");
    assert!(!page.contains("Command for the operator"), "{page}");
    let hash = sha256(&stage, "ids.plan.csv");
    has_line(&page, &format!("| Plan SHA-256 | `{hash}` |"));
}
