//! The live application never notices the job: ten minutes beside each other.

#[path = "../../../../benches/pacing/simulation.rs"]
mod simulation;

use simulation::{Arrivals, Played, QUOTA, Scenario, Server, play, share};

use super::{GateSettings, Pace, Pacer, Quota, Report};

/// As far as application and share fit into the quota in every window, no call is refused and the
/// share is used.
#[track_caller]
fn beside(application: u32, arrivals: Arrivals, percent: u32, server: Server) -> Played {
    let pace = share(percent, Pace::Share);
    let scenario = Scenario { application, arrivals, server, pace };
    let played = play(&scenario);
    assert!(played.most_requests <= pace.quota().n.get(), "{played:?}");
    if played.most_calls + pace.quota().n.get() <= QUOTA {
        assert_eq!((played.n_refused, played.n_throttled), (0, 0), "{scenario:?}: {played:?}");
        assert!(played.used(&scenario) >= 98.0, "{scenario:?}: {played:?}");
    }
    played
}

/// Beyond that one call of two hundred is refused at most, and the job uses four fifths of what is
/// left. A server that blocks costs the application a second each time that the quota is full.
#[track_caller]
fn check(application: u32, percent: u32) {
    for (server, most) in [(Server::Refuses, 0.5), (Server::Blocks, 0.7)] {
        let played = beside(application, Arrivals::Even, percent, server);
        assert!(played.refused() <= most, "{:.2} % of {application} %", played.refused());
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

/// Their number in a window varies by some percent, and the job gives way to the busiest windows.
#[test]
fn few_calls_that_come_at_random_are_refused() {
    for (application, most, least_used) in [(60, 0.5, 70.0), (80, 0.5, 50.0), (90, 0.8, 40.0)] {
        let played = beside(application, Arrivals::Random, 50, Server::Refuses);
        assert!(played.refused() <= most, "{:.2} % of {application} %", played.refused());
        let left = f64::from(QUOTA - QUOTA * application / 100).min(f64::from(QUOTA) / 2.0) * 60.0;
        let used = 100.0 * f64::from(played.n_done) / left;
        assert!(used >= least_used, "{used:.0} % beside {application} %");
    }
}
