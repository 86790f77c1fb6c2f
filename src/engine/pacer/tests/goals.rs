//! A job and a live application use the same quota for ten minutes.

#[path = "../../../../benches/pacing/simulation.rs"]
mod simulation;

use simulation::{Arrivals, Played, QUOTA, Scenario, Server, play, share};

use super::{GateSettings, Pace, Pacer, Quota, Report};

/// If the application and the share fit into the quota in every window, no call is refused and the
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

/// Otherwise, at most one call of 200 is refused, and the job uses four fifths of the rest. A server
/// that blocks delays the application by a second whenever the quota is used up.
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

/// The number of calls in a window varies by some percent, and the job yields to the busiest windows.
#[test]
fn few_calls_at_random_times_are_refused() {
    for (application, most, least_used) in [(60, 0.5, 70.0), (80, 0.5, 50.0), (90, 0.8, 40.0)] {
        let played = beside(application, Arrivals::Random, 50, Server::Refuses);
        assert!(played.refused() <= most, "{:.2} % of {application} %", played.refused());
        let left = f64::from(QUOTA - QUOTA * application / 100).min(f64::from(QUOTA) / 2.0) * 60.0;
        let used = 100.0 * f64::from(played.n_done) / left;
        assert!(used >= least_used, "{used:.0} % beside {application} %");
    }
}
