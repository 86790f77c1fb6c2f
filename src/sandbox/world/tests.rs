use std::fmt::Write;

use super::*;

fn id(tail: impl std::fmt::Display) -> UserId {
    format!("user_{tail}").parse().unwrap()
}

fn share(n_users: usize, holds: impl Fn(&Truth) -> bool) -> f64 {
    let world = World::new(1);
    let truths: Vec<_> = (0..n_users).map(|n| world.state_of(&id(n))).collect();
    let n = truths.iter().filter(|truth| holds(truth)).count();
    #[expect(clippy::cast_precision_loss, reason = "a share need not be exact")]
    let share = n as f64 / truths.len() as f64;
    share
}

#[test]
fn the_world_of_a_seed_stays_as_it_is() {
    let world = World::new(1);
    let mut text = String::new();
    for user in [world.listed_id(0), world.listed_id(1), id("2NNEqL2nrIRdJ194ndJqAHwEfxC")] {
        writeln!(text, "{user} {:?}", world.state_of(&user)).unwrap();
    }
    insta::assert_snapshot!(text, @"
    user_20CQupOStJJy6OYXwzhWVfF8nV2 Truth { exists: true, banned: false, lock: ByAttempts { expires_in: Some(2695s) } }
    user_28ZNHSX6sBCi4YaPju4wpmt2UKw Truth { exists: true, banned: false, lock: Open { attempts_left: 9 } }
    user_2NNEqL2nrIRdJ194ndJqAHwEfxC Truth { exists: true, banned: false, lock: Open { attempts_left: 10 } }
    ");
}

#[test]
fn users_are_in_every_state_by_its_share() {
    let near = |share: f64, percent: f64| (share * 100.0 - percent).abs() < 1.0;
    assert!(near(share(20_000, |it| !it.exists), 2.0));
    assert!(near(share(20_000, Truth::locked), 83.0 * 0.98));
    assert!(near(share(20_000, Truth::admin_locked), 3.0 * 0.98));
    assert!(near(share(20_000, |it| it.banned), 2.0));
    let for_ever = |it: &Truth| it.lock == Lock::ByAttempts { expires_in: None };
    assert!(near(share(20_000, for_ever), 4.0));
}

#[test]
fn every_listed_user_exists() {
    let world = World::new(7);
    assert!((0..5_000).all(|index| world.state_of(&world.listed_id(index)).exists));
}

#[test]
fn everybody_is_found_by_all_that_names_them() {
    let world = World::new(3);
    let listed = (0..500).map(|index| world.listed_id(index));
    let unlisted = (0..500).map(|n| id(format!("2aB{n}zZ")));
    for person in listed.chain(unlisted).filter_map(|id| world.person(&id)) {
        let emails = person.emails.iter().map(|it| (IdentifierKind::Email, it));
        let phone = person.phone.iter().map(|it| (IdentifierKind::Phone, it));
        let username = person.username.iter().map(|it| (IdentifierKind::Username, it));
        let external = person.external_id.iter().map(|it| (IdentifierKind::ExternalId, it));
        for (kind, value) in emails.chain(phone).chain(username).chain(external) {
            let found = world.named(kind, value);
            assert!(found.iter().any(|it| it.id == person.id), "{kind:?} {value}");
        }
    }
}

#[test]
fn two_users_share_a_phone_and_two_an_address_and_no_others() {
    let world = World::new(3);
    for index in 0..200 {
        let person = world.person(&world.listed_id(index)).unwrap();
        let n_by_email = world.named(IdentifierKind::Email, &person.emails[0]).len();
        assert_eq!(n_by_email, if index % 100 == 52 { 2 } else { 1 }, "{index}");
        let n_by_phone =
            person.phone.map_or(0, |phone| world.named(IdentifierKind::Phone, &phone).len());
        let is_shared = matches!(index % 100, 50 | 51);
        assert!(if is_shared { n_by_phone == 2 } else { n_by_phone <= 1 }, "{index}");
    }
}

#[test]
fn what_names_nobody_finds_nobody() {
    let world = World::new(3);
    for value in ["", "x", "+1555", "+15559999999x", "a+99999999999@example.com", "ext_", "é-1"] {
        for kind in [
            IdentifierKind::UserId,
            IdentifierKind::Email,
            IdentifierKind::Phone,
            IdentifierKind::ExternalId,
        ] {
            assert!(world.named(kind, value).is_empty(), "{kind:?} {value}");
        }
    }
}

#[test]
fn an_address_is_compared_without_regard_to_case() {
    let world = World::new(3);
    let person = world.person(&id("2aBcDeF")).unwrap();
    let found = world.named(IdentifierKind::Email, &person.emails[0].to_uppercase());
    assert_eq!(found.len(), 1);
}
