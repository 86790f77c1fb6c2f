//! The live application never notices the job: ten minutes beside each other.

#[path = "../../../../benches/pacing/simulation.rs"]
mod simulation;

use simulation::{Arrivals, Played, QUOTA, Scenario, Server, play, share};

use super::{GateSettings, Pace, Pacer, Quota, Report};

fn beside(application: u32, arrivals: Arrivals, percent: u32, server: Server) -> Played {
    let pace = share(percent, Pace::Share);
    let scenario = Scenario { application, arrivals, server, pace };
    let played = play(&scenario);
    assert!(played.most_requests <= pace.quota().n.get(), "{played:?}");
    if played.most_calls + pace.quota().n.get() <= QUOTA {
        assert_eq!((played.n_refused, played.n_throttled), (0, 0), "{scenario:?}: {played:?}");
        assert!(played.used(&scenario) >= 98.0, "{scenario:?}: {played:?}");
    } else {
        assert!(played.refused() <= 0.5, "{:.2} % at {scenario:?}", played.refused());
    }
    played
}

/// As far as application and share fit into the quota, no call is refused; beyond it one of two
/// hundred at most, and the job uses four fifths of what is left.
#[track_caller]
fn check(application: u32, percent: u32) {
    for server in [Server::Refuses, Server::Blocks] {
        let played = beside(application, Arrivals::Even, percent, server);
        let left = (QUOTA - QUOTA * application / 100).min(QUOTA * percent / 100) * 60;
        let used = 100 * played.n_done / left;
        assert!(used >= 80, "{used} % beside {application} %");
    }
}

#[test]
fn no_call_of_a_small_application_is_refused() {
    check(5, 50);
    check(45, 50);
    assert_eq!(beside(25, Arrivals::Random, 50, Server::Refuses).n_refused, 0);
}

#[test]
fn few_calls_of_an_application_that_needs_more_than_the_rest_are_refused() {
    check(60, 50);
    check(75, 80);
}

#[test]
fn few_calls_of_an_application_that_nearly_fills_the_quota_are_refused() {
    check(90, 50);
}

/// Their number in a window varies by three of a hundred and more, and the job gives way to the
/// busiest windows.
#[test]
fn few_calls_that_come_at_random_are_refused() {
    beside(60, Arrivals::Random, 50, Server::Refuses);
    beside(90, Arrivals::Random, 50, Server::Refuses);
}
