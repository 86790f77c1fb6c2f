//! A whole process, measured from outside.

use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// What one process took.
pub(crate) struct Measured {
    pub(crate) wall: Duration,
    pub(crate) cpu: Duration,
    pub(crate) ended_at: SystemTime,
    peak_kb: u32,
}

impl Measured {
    pub(crate) fn peak_mb(&self) -> f64 {
        f64::from(self.peak_kb) / 1_000.0
    }
}

/// Runs a program to its end. CPU and memory are read from `/proc`; elsewhere they are zero.
pub(crate) fn measure(program: &Path, arguments: &[&str], key: Option<&str>) -> Measured {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if let Some(key) = key {
        command.env("CLERK_SECRET_KEY", key);
    }
    let cpu_before = cpu_of_children();
    let began = Instant::now();
    let mut child = command.spawn().expect("the program starts");
    let mut peak_kb = 0;
    loop {
        peak_kb = peak_kb.max(peak_of(child.id()));
        if let Some(status) = child.try_wait().expect("the program ends") {
            assert!(status.success(), "{arguments:?}: {status}");
            break;
        }
        thread::sleep(Duration::from_millis(2));
    }
    let (wall, ended_at) = (began.elapsed(), SystemTime::now());
    Measured { wall, cpu: cpu_of_children().saturating_sub(cpu_before), ended_at, peak_kb }
}

/// The CPU time of all children that were waited for: fields 16 and 17 of `/proc/self/stat`.
fn cpu_of_children() -> Duration {
    /// Ticks a second, on every Linux that is built today.
    const TICKS: u64 = 100;
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let fields = after_name.split_whitespace().skip(13).take(2);
    let ticks: u64 = fields.filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 1_000 / TICKS)
}

fn peak_of(id: u32) -> u32 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.and_then(|text| text.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}
