//! The metrics file (`--metrics-file`): gauges of one run in the Prometheus text format, for
//! `node_exporter`'s textfile collector.
//!
//! The file is replaced at the beginning, every ten seconds, and at any end of the command. Until
//! then, the exit code and the time of the last success are those of the run before.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::Listener;
use crate::model::{Event, Outcome};
use crate::stats::{Latency, Stats};

/// How often the file is replaced during a run.
const EVERY: Duration = Duration::from_secs(10);

/// The upper bounds of the latency histogram, in milliseconds.
const BOUNDS_MS: [u64; 11] = [10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000];

/// The beginning of every metrics file.
const BEGINNING: &str = "# HELP bulk_unlock_";

const LAST_SUCCESS: &str = "last_success_timestamp_seconds";
const EXIT_CODE: &str = "exit_code";

/// The metrics file of one command.
#[derive(Debug)]
pub struct Metrics {
    path: PathBuf,
    job: String,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// The jobs that have ended: a run, and its read-back.
    ended: Vec<Job>,
    current: Option<Job>,
    earlier: Earlier,
    written_at: Option<Instant>,
}

#[derive(Debug)]
struct Job {
    stats: Stats,
    n_unprocessed: u64,
}

/// The values in the file of an earlier run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Earlier {
    exit_code: Option<u8>,
    last_success: Option<u64>,
}

impl Metrics {
    /// Writes the file for the first time, with the label `job` and all counts at zero. Fails if the
    /// file cannot be written, or if another kind of file is in its place.
    pub fn create(path: PathBuf, job: String, now: SystemTime) -> io::Result<Self> {
        let earlier = Earlier::read(&path, &job)?;
        let inner = Mutex::new(Inner { earlier, ..Inner::default() });
        let metrics = Self { path, job, inner };
        metrics.write(&metrics.lock(), earlier, now)?;
        Ok(metrics)
    }

    /// Adds a job of this command that has ended.
    pub fn end_job(&self, stats: &Stats, n_unprocessed: u64) {
        let mut inner = self.lock();
        inner.ended.push(Job { stats: stats.clone(), n_unprocessed });
        inner.current = None;
    }

    /// Writes the file for the last time, with the exit code. Fails as [`create`](Self::create).
    pub fn finish(&self, exit_code: u8, now: SystemTime) -> io::Result<()> {
        let inner = self.lock();
        let success = (exit_code == 0).then(|| unix_seconds(now));
        let last_success = success.or(inner.earlier.last_success);
        self.write(&inner, Earlier { exit_code: Some(exit_code), last_success }, now)
    }

    /// Updates the file while a job is running.
    pub fn listener(&self) -> Box<dyn Listener + '_> {
        Box::new(self)
    }

    fn update(&self, stats: &Stats, at: Instant, now: SystemTime) {
        let inner = &mut *self.lock();
        inner.current = Some(Job { stats: stats.clone(), n_unprocessed: stats.n_unprocessed() });
        let written_at = inner.written_at.get_or_insert(at);
        if at < *written_at + EVERY {
            return;
        }
        *written_at = at;
        // A later update may succeed, and `finish` reports errors.
        let _ = self.write(inner, inner.earlier, now);
    }

    fn write(&self, inner: &Inner, ending: Earlier, now: SystemTime) -> io::Result<()> {
        check_own(&self.path)?;
        let jobs: Vec<&Job> = inner.ended.iter().chain(&inner.current).collect();
        let text = render(&self.job, &jobs, ending, unix_seconds(now));
        let directory = self.path.parent().filter(|it| !it.as_os_str().is_empty());
        // The collector reads `*.prom`. It must not find this file before it is complete.
        let mut file = tempfile::Builder::new()
            .prefix(".bulk-unlock-metrics.")
            .suffix(".tmp")
            .tempfile_in(directory.unwrap_or(Path::new(".")))?;
        file.write_all(text.as_bytes())?;
        readable_by_all(file.as_file())?;
        file.persist(&self.path)?;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The collector runs as another user.
#[cfg(unix)]
fn readable_by_all(file: &fs::File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.set_permissions(fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn readable_by_all(_: &fs::File) -> io::Result<()> {
    Ok(())
}

/// Refuses to replace anything but a metrics file of this program or an empty file.
fn check_own(path: &Path) -> io::Result<()> {
    let metadata = match path.metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        metadata => metadata?,
    };
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    if metadata.len() == 0 {
        return Ok(());
    }
    let mut beginning = Vec::new();
    fs::File::open(path)?.take(BEGINNING.len() as u64).read_to_end(&mut beginning)?;
    if beginning != BEGINNING.as_bytes() {
        return Err(io::Error::other("the file that exists is not a bulk-unlock metrics file"));
    }
    Ok(())
}

impl Listener for &Metrics {
    fn on_event(&mut self, event: &Event, stats: &Stats) {
        if let Event::Ticked { at, wall } = event {
            self.update(stats, *at, *wall);
        }
    }
}

impl Earlier {
    /// Reads the values of this job. A missing file has none.
    fn read(path: &Path, job: &str) -> io::Result<Self> {
        check_own(path)?;
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            text => text?,
        };
        let sample = |name: &str| {
            let prefix = format!("bulk_unlock_{name}{{job=\"{}\"}} ", escape(job));
            text.lines().find_map(|line| line.strip_prefix(&prefix))
        };
        Ok(Self {
            exit_code: sample(EXIT_CODE).and_then(|value| value.parse().ok()),
            last_success: sample(LAST_SUCCESS).and_then(|value| value.parse().ok()),
        })
    }
}

/// The file, with the counts of all jobs. Every metric has its HELP and TYPE lines, also one without
/// a value.
fn render(job: &str, jobs: &[&Job], ending: Earlier, now: u64) -> String {
    let sum = |of: fn(&Stats) -> u64| jobs.iter().map(|job| of(&job.stats)).sum::<u64>();
    let mut text = Text { text: String::new(), job: escape(job) };
    text.family("users", "gauge", "Users by outcome.");
    for outcome in Outcome::ALL {
        let n: u64 = jobs.iter().map(|job| job.stats.count(outcome)).sum();
        text.sample("users", &format!(",outcome=\"{}\"", outcome.code()), n);
    }
    text.family("requests", "gauge", "Requests by HTTP status; none: no response.");
    let mut requests: BTreeMap<Option<u16>, u64> = BTreeMap::new();
    for Job { stats, .. } in jobs {
        let by_status = stats.requests_by_status.iter().map(|(status, n)| (*status, *n));
        for (status, n) in by_status.chain([(None, stats.n_given_up)]).filter(|(_, n)| *n > 0) {
            *requests.entry(status).or_default() += n;
        }
    }
    for (status, n) in requests {
        let status = status.map_or("none".to_owned(), |status| status.to_string());
        text.sample("requests", &format!(",status=\"{status}\""), n);
    }
    text.gauge(
        "retries",
        "Attempts that failed and were retried, 429s not counted.",
        Some(sum(|stats| stats.n_retries)),
    );
    let n_throttled = sum(Stats::n_throttled);
    text.gauge("throttled", "Requests that were answered 429.", Some(n_throttled));
    let paused: Duration = jobs.iter().map(|job| job.stats.paused()).sum();
    text.gauge(
        "paused_seconds",
        "Time in which no request was sent because of a 429 or an outage.",
        Some(paused.as_secs_f64()),
    );
    text.histogram(jobs);
    // A read-back has no records of its own.
    let first = jobs.iter().find(|job| job.stats.size.n_records > 0);
    let n_records = first.map_or(0, |job| job.stats.size.n_records);
    let n_unprocessed = first.map_or(0, |job| job.n_unprocessed);
    text.gauge("records", "Records of the input.", Some(n_records));
    text.gauge("unprocessed", "Records without an outcome.", Some(n_unprocessed));
    text.gauge(EXIT_CODE, "Exit code of the last run that ended.", ending.exit_code);
    text.gauge(
        "last_run_timestamp_seconds",
        "Unix time at which a run last wrote this file.",
        Some(now),
    );
    text.gauge(
        LAST_SUCCESS,
        "Unix time at which a run last ended with exit code 0.",
        ending.last_success,
    );
    text.text
}

struct Text {
    text: String,
    /// Escaped.
    job: String,
}

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "# HELP bulk_unlock_{name} {help}");
        let _ = writeln!(self.text, "# TYPE bulk_unlock_{name} {kind}");
    }

    /// One value. `labels` follow the label `job`.
    fn sample(&mut self, name: &str, labels: &str, value: impl Display) {
        let job = &self.job;
        let _ = writeln!(self.text, "bulk_unlock_{name}{{job=\"{job}\"{labels}}} {value}");
    }

    /// A metric with at most one value.
    fn gauge(&mut self, name: &str, help: &str, value: Option<impl Display>) {
        self.family(name, "gauge", help);
        if let Some(value) = value {
            self.sample(name, "", value);
        }
    }

    fn histogram(&mut self, jobs: &[&Job]) {
        let name = "request_duration_seconds";
        self.family(name, "histogram", "Time from sending a request to its response or failure.");
        let sum = |of: &dyn Fn(&Latency) -> u64| -> u64 {
            jobs.iter().map(|job| of(&job.stats.latency)).sum()
        };
        let bucket = format!("{name}_bucket");
        for millis in BOUNDS_MS {
            let n = sum(&|latency| latency.n_up_to(Duration::from_millis(millis)));
            #[expect(clippy::cast_precision_loss, reason = "the bounds are small")]
            // OpenMetrics requires 1.0 instead of 1.
            let bound = format!("{:?}", millis as f64 / 1e3);
            self.sample(&bucket, &format!(",le=\"{bound}\""), n);
        }
        let n = sum(&Latency::n);
        self.sample(&bucket, ",le=\"+Inf\"", n);
        let total: Duration = jobs.iter().map(|job| job.stats.latency.sum).sum();
        self.sample(&format!("{name}_sum"), "", total.as_secs_f64());
        self.sample(&format!("{name}_count"), "", n);
    }
}

/// Escapes the value of a label.
fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn unix_seconds(at: SystemTime) -> u64 {
    at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::PauseReason;
    use crate::stats::testing::Story;

    fn at(secs: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(secs)
    }

    fn sample<'a>(text: &'a str, name: &str) -> Option<&'a str> {
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
    }

    #[test]
    fn the_file_of_a_run() {
        let stats = Story::of(5)
            .rows(2, Outcome::Unlocked)
            .retries(1, 503, "http_503")
            .retries(1, 429, "http_429")
            .paused(PauseReason::Throttled, 1_500)
            .at(4_200)
            .stats;
        let job = Job { n_unprocessed: stats.n_unprocessed(), stats };
        let ending = Earlier { exit_code: Some(3), last_success: Some(1_700) };
        insta::assert_snapshot!(render("run", &[&job], ending, 1_800));
    }

    #[test]
    fn names_help_and_type_do_not_depend_on_the_run() {
        let fixed = |text: &str| {
            let lines = text.lines().filter(|line| line.starts_with('#'));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        let stats = Story::of(1).rows(1, Outcome::Unlocked).stats;
        let job = Job { stats, n_unprocessed: 0 };
        let empty = render("run", &[], Earlier::default(), 1);
        assert_eq!(fixed(&empty), fixed(&render("other", &[&job], Earlier::default(), 2)));
        for outcome in Outcome::ALL {
            let name = format!("bulk_unlock_users{{job=\"run\",outcome=\"{}\"}}", outcome.code());
            assert_eq!(sample(&empty, &name), Some("0"));
        }
    }

    #[test]
    fn the_last_success_is_kept_until_the_next_success() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("it.prom");
        let job = "it's \"a\" job\\\n";
        let name = |name: &str| format!("bulk_unlock_{name}{{job=\"it's \\\"a\\\" job\\\\\\n\"}}");
        let run = |now: u64, exit_code: u8| {
            let metrics = Metrics::create(path.clone(), job.to_owned(), at(now)).unwrap();
            let during = fs::read_to_string(&path).unwrap();
            metrics.finish(exit_code, at(now + 1)).unwrap();
            let text = fs::read_to_string(&path).unwrap();
            [during, text].map(|text| {
                let value = |it: &str| sample(&text, &name(it)).map(str::to_owned);
                (value(EXIT_CODE), value(LAST_SUCCESS))
            })
        };
        let some = |value: &str| Some(value.to_owned());
        assert_eq!(run(10, 2), [(None, None), (some("2"), None)]);
        assert_eq!(run(20, 0), [(some("2"), None), (some("0"), some("21"))]);
        assert_eq!(run(30, 1), [(some("0"), some("21")), (some("1"), some("21"))]);
        // The success of another job does not count.
        let other = Metrics::create(path.clone(), "other".to_owned(), at(40)).unwrap();
        other.finish(1, at(41)).unwrap();
        assert_eq!(run(50, 1), [(None, None), (some("1"), None)]);
    }

    #[test]
    fn another_kind_of_file_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("users.csv");
        let create = || Metrics::create(path.clone(), "run".to_owned(), at(1));
        fs::write(&path, "user_id\nuser_1\n").unwrap();
        assert!(create().unwrap_err().to_string().contains("not a bulk-unlock metrics file"));
        assert!(fs::read_to_string(&path).unwrap().starts_with("user_id"));
        fs::write(&path, "").unwrap();
        let metrics = create().unwrap();
        fs::write(&path, "line,input\n").unwrap();
        assert!(metrics.finish(0, at(2)).is_err());
        assert!(Metrics::create(dir.path().to_owned(), "run".to_owned(), at(1)).is_err());
    }

    #[test]
    fn the_counts_of_a_run_and_its_read_back_are_added() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("it.prom");
        let metrics = Metrics::create(path.clone(), "run".to_owned(), at(1)).unwrap();
        metrics.end_job(&Story::of(3).rows(2, Outcome::Unlocked).stats, 1);
        metrics.end_job(&Story::of(2).rows(2, Outcome::StillUnlocked).stats, 0);
        metrics.finish(3, at(2)).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        for (name, value) in [
            ("bulk_unlock_users{job=\"run\",outcome=\"unlocked\"}", "2"),
            ("bulk_unlock_users{job=\"run\",outcome=\"still_unlocked\"}", "2"),
            ("bulk_unlock_records{job=\"run\"}", "3"),
            ("bulk_unlock_unprocessed{job=\"run\"}", "1"),
            ("bulk_unlock_request_duration_seconds_count{job=\"run\"}", "4"),
        ] {
            assert_eq!(sample(&text, name), Some(value), "{name}\n{text}");
        }
    }

    #[test]
    fn buckets_are_cumulative() {
        let mut stats = Story::of(1).rows(1, Outcome::Unlocked).stats;
        for ms in [0, 9, 10, 11, 24, 25, 26, 999, 1_000, 1_001, 29_999, 31_000, 9_000_000] {
            stats.add_request(&crate::model::Attempt {
                status: Some(200),
                took: Duration::from_millis(ms),
                waited: Duration::ZERO,
                ended_at: at(0),
            });
        }
        let text = render("run", &[&Job { stats, n_unprocessed: 0 }], Earlier::default(), 1);
        let buckets = text.lines().filter(|line| line.contains("_bucket{"));
        let counts: Vec<u64> =
            buckets.map(|line| line.rsplit(' ').next().unwrap().parse().unwrap()).collect();
        assert!(counts.is_sorted(), "{counts:?}");
        assert_eq!(counts.last(), Some(&14));
    }

    #[test]
    fn the_file_is_replaced_every_ten_seconds() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("it.prom");
        let metrics = Metrics::create(path.clone(), "run".to_owned(), at(100)).unwrap();
        let stats = Story::of(3).rows(2, Outcome::Unlocked).stats;
        let start = Instant::now();
        let mut listener = metrics.listener();
        let mut written_at = |secs: u64| {
            let at = start + Duration::from_secs(secs);
            let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(100 + secs);
            listener.on_event(&Event::Ticked { at, wall }, &stats);
            let text = fs::read_to_string(&path).unwrap();
            let name = "bulk_unlock_last_run_timestamp_seconds{job=\"run\"}";
            sample(&text, name).unwrap().to_owned()
        };
        let times = [0, 1, 9, 10, 11, 19, 20].map(&mut written_at);
        assert_eq!(times, ["100", "100", "100", "110", "110", "110", "120"]);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(sample(&text, "bulk_unlock_unprocessed{job=\"run\"}"), Some("1"));
    }
}
