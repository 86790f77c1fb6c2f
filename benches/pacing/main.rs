//! The job and a live application beside each other: how many of the application's calls are
//! refused, and what the job uses of what is left.
//!
//! `cargo bench --features internals --bench pacing` prints the tables that the README quotes. The
//! server, the application and the clock are simulated; the pacer is the real one.

#![allow(clippy::print_stdout, reason = "a benchmark is there to print")]

mod simulation;

use bulk_unlock::internals::engine::Pacer;
use bulk_unlock::internals::policy::pacing::{GateSettings, Pace, Quota, Report};
use simulation::{Arrivals, Scenario, Server, play, share};

type Kind = fn(Quota) -> Pace;

const PACES: [(&str, u32, Kind); 4] = [
    ("--burst, 80 %", 80, Pace::Burst),
    ("even, 80 %", 80, Pace::Share),
    ("--burst, 50 %", 50, Pace::Burst),
    ("even, 50 %", 50, Pace::Share),
];

fn main() {
    println!("Ten simulated minutes, quota 1000/10s, latency 50 to 150 ms.");
    println!("Calls of the application that were refused; what the job used of what was left.");
    for server in [Server::Refuses, Server::Blocks] {
        let name = match server {
            Server::Refuses => "The server refuses what is beyond the quota",
            Server::Blocks => "The server refuses everything until Retry-After is over",
        };
        println!("\n{name}\n");
        print!("| application    |");
        for (name, ..) in PACES {
            print!(" {name:<16} |");
        }
        println!("\n| -------------- |{}", " ---------------- |".repeat(PACES.len()));
        for arrivals in [Arrivals::Even, Arrivals::Random] {
            for application in [5, 25, 45, 50, 60, 70, 80, 90] {
                let word = match arrivals {
                    Arrivals::Even => "even",
                    Arrivals::Random => "random",
                };
                print!("| {application:>3} %, {word:<6}  |");
                for (_, percent, pace) in PACES {
                    let pace = share(percent, pace);
                    let scenario = Scenario { application, arrivals, server, pace };
                    let played = play(&scenario);
                    let (refused, used) = (played.refused(), played.used(&scenario));
                    print!(" {refused:>6.2} % / {used:>3.0} % |");
                }
                println!();
            }
        }
    }
}
