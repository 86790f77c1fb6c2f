//! Finds users: those that the instance lists, and anybody who is asked for by name.

use std::ops::Range;

use super::list_query::ListQuery;
use super::refusal::Refusal;
use super::world::{Person, World};

/// Clerk's own default.
const USUAL_LIMIT: usize = 10;

/// The users that the instance lists, oldest first.
pub(super) struct Directory {
    world: World,
    oldest_first: Vec<u32>,
}

impl Directory {
    pub(super) fn new(world: World, n_users: u32) -> Self {
        let mut oldest_first: Vec<u32> = (0..n_users).collect();
        oldest_first.sort_unstable_by_key(|&index| world.created_at(index));
        Self { world, oldest_first }
    }

    /// One page.
    pub(super) fn page(&self, query: &ListQuery) -> Result<Vec<Person>, Refusal> {
        let limit = query.limit.unwrap_or(USUAL_LIMIT);
        Ok(self.matching(query)?.skip(query.offset).take(limit).collect())
    }

    /// How many there are on all pages.
    pub(super) fn count(&self, query: &ListQuery) -> Result<usize, Refusal> {
        if query.filters.is_empty() && query.banned.is_none() {
            return Ok(self.range(&self.bounds(query)?).len());
        }
        Ok(self.matching(query)?.count())
    }

    fn matching<'a>(
        &'a self,
        query: &'a ListQuery,
    ) -> Result<Box<dyn Iterator<Item = Person> + 'a>, Refusal> {
        let bounds = self.bounds(query)?;
        let passes = |person: &Person| passes(query, person);
        if query.filters.iter().any(|filter| !filter.wanted.is_empty()) {
            let mut people = self.named(query);
            people.retain(|person| bounds.contains(&person.created_at));
            if !query.is_oldest_first {
                people.reverse();
            }
            return Ok(Box::new(people.into_iter().filter(passes)));
        }
        let listed = &self.oldest_first[self.range(&bounds)];
        let person = |&index: &u32| self.world.person(&self.world.listed_id(index));
        if query.is_oldest_first {
            Ok(Box::new(listed.iter().filter_map(person).filter(passes)))
        } else {
            Ok(Box::new(listed.iter().rev().filter_map(person).filter(passes)))
        }
    }

    /// Whom the wanted identifiers of the first filter name, oldest first; the other filters are
    /// applied later.
    fn named(&self, query: &ListQuery) -> Vec<Person> {
        let filter = query.filters.iter().find(|filter| !filter.wanted.is_empty());
        let mut people: Vec<Person> = filter
            .into_iter()
            .flat_map(|filter| filter.wanted.iter().map(|value| (filter.kind, value)))
            .flat_map(|(kind, value)| self.world.named(kind, value))
            .collect();
        people.sort_unstable_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        people.dedup_by(|a, b| a.id == b.id);
        people
    }

    /// The moments of creation, in Unix milliseconds, between which the page lies. No two listed
    /// users share one, so the cursor's moment stands for the cursor.
    fn bounds(&self, query: &ListQuery) -> Result<Range<u64>, Refusal> {
        let mut start = query.created_after.map_or(0, |at| at.saturating_add(1));
        let mut end = query.created_before.unwrap_or(u64::MAX);
        if let Some(id) = &query.starting_after {
            let cursor = self.world.person(id);
            let at = cursor.ok_or_else(|| Refusal::parameter("starting_after", "is no user"))?;
            if query.is_oldest_first {
                start = start.max(at.created_at + 1);
            } else {
                end = end.min(at.created_at);
            }
        }
        Ok(start..end.max(start))
    }

    fn range(&self, bounds: &Range<u64>) -> Range<usize> {
        let place = |at| self.oldest_first.partition_point(|&it| self.world.created_at(it) < at);
        place(bounds.start)..place(bounds.end)
    }
}

fn passes(query: &ListQuery, person: &Person) -> bool {
    let is_named = |kind, values: &[String]| values.iter().any(|it| person.is_named(kind, it));
    query.banned.is_none_or(|banned| person.truth.banned == banned)
        && query.filters.iter().all(|it| {
            (it.wanted.is_empty() || is_named(it.kind, &it.wanted))
                && !is_named(it.kind, &it.unwanted)
        })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const WORLD: fn() -> World = || World::new(1);

    fn directory() -> Directory {
        Directory::new(WORLD(), 1_234)
    }

    fn page(query: &str) -> Vec<Person> {
        directory().page(&ListQuery::parse(query).unwrap()).unwrap()
    }

    fn count(query: &str) -> usize {
        directory().count(&ListQuery::parse(query).unwrap()).unwrap()
    }

    fn walk(extra: &str) -> Vec<String> {
        let mut seen: Vec<String> = Vec::new();
        loop {
            let cursor = seen.last().map(|id| format!("&starting_after={id}")).unwrap_or_default();
            let page = page(&format!("limit=100{extra}{cursor}"));
            seen.extend(page.iter().map(|person| person.id.to_string()));
            if page.len() < 100 {
                return seen;
            }
        }
    }

    #[test]
    fn a_page_has_ten_users_unless_told() {
        assert_eq!(page("").len(), 10);
        assert_eq!(page("limit=500").len(), 500);
    }

    #[test]
    fn a_walk_by_cursor_meets_every_listed_user_once_newest_first() {
        let seen = walk("");
        let all: BTreeSet<String> =
            (0..1_234).map(|index| WORLD().listed_id(index).to_string()).collect();
        assert_eq!(seen.len(), 1_234);
        assert_eq!(seen.iter().cloned().collect::<BTreeSet<_>>(), all);
        let mut oldest_first = walk("&order_by=%2Bcreated_at");
        oldest_first.reverse();
        assert_eq!(seen, oldest_first);
    }

    #[test]
    fn a_walk_by_offset_meets_the_same_users() {
        let pages = (0..13).flat_map(|n| page(&format!("limit=100&offset={}", n * 100)));
        assert_eq!(pages.map(|person| person.id.to_string()).collect::<Vec<_>>(), walk(""));
    }

    #[test]
    fn ranges_of_creation_split_the_walk() {
        let middle = page("limit=500").last().unwrap().created_at;
        let after = walk(&format!("&created_at_after={}", middle - 1));
        let before = walk(&format!("&created_at_before={middle}"));
        assert_eq!((after.len(), before.len()), (500, 734));
        assert_eq!([after, before].concat(), walk(""));
        assert_eq!(count(&format!("created_at_before={middle}")), 734);
        assert_eq!(count(&format!("created_at_after={middle}")), 499);
    }

    #[test]
    fn those_who_do_not_exist_are_left_out_in_silence() {
        let world = WORLD();
        let id = |n: u32| format!("user_{n}").parse().unwrap();
        let missing = (0..1_000).map(id).find(|id| !world.state_of(id).exists).unwrap();
        let there = (0..1_000).map(id).find(|id| world.state_of(id).exists).unwrap();
        let found = page(&format!("limit=100&user_id={missing}&user_id={there}&user_id=nonsense"));
        assert_eq!(found.iter().map(|it| &it.id).collect::<Vec<_>>(), [&there]);
    }

    #[test]
    fn a_user_named_twice_is_found_once() {
        let id = WORLD().listed_id(5);
        assert_eq!(page(&format!("user_id={id}&user_id=%2B{id}")).len(), 1);
    }

    #[test]
    fn unwanted_users_are_left_out() {
        let id = WORLD().listed_id(5);
        assert_eq!(count(&format!("user_id=-{id}")), 1_233);
        let external_id = WORLD().person(&id).unwrap().external_id.unwrap();
        assert_eq!(count(&format!("user_id={id}&external_id=-{external_id}")), 0);
    }

    #[test]
    fn a_shared_phone_finds_both() {
        let phone = WORLD().person(&WORLD().listed_id(50)).unwrap().phone.unwrap();
        assert_eq!(count(&format!("phone_number={}", phone.replace('+', "%2B"))), 2);
    }

    #[test]
    fn banned_users_can_be_told_apart() {
        assert_eq!(count("banned=true") + count("banned=false"), count(""));
        assert!(count("banned=true") > 0);
        assert!(page("banned=true&limit=500").iter().all(|person| person.truth.banned));
    }

    #[test]
    fn a_cursor_that_is_nobody_is_refused() {
        let id = (0..1_000).map(|n| format!("user_{n}").parse().unwrap());
        let missing = id.into_iter().find(|id| !WORLD().state_of(id).exists).unwrap();
        let query = ListQuery::parse(&format!("starting_after={missing}")).unwrap();
        assert_eq!(directory().page(&query).err().map(|it| it.status), Some(422));
    }
}
