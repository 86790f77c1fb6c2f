//! The parts that every record passes through, without network and disk: `cargo bench --features
//! internals --bench hot_parts`.

use std::hint::black_box;
use std::io;
use std::num::NonZeroU32;
use std::time::{Duration, Instant, SystemTime};

use bulk_unlock::internals::input::{self, Options, Source};
use bulk_unlock::internals::model::{
    Answer, Identifier, InputRecord, Outcome, Records, Reply, Row, UserId, UserSnapshot,
};
use bulk_unlock::internals::policy::classify;
use bulk_unlock::internals::policy::exclude::ExcludeList;
use bulk_unlock::internals::policy::pacing::{Gate, GateSettings, Pace, Quota, Report};
use bulk_unlock::internals::policy::plan::{Done, Plan};
use bulk_unlock::internals::results::{RowFormat, Writer};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

const N_RECORDS: u32 = 10_000;

fn id(n: u32) -> String {
    format!("user_2NNEqL2nrIRdJ194nd{n:0>9}")
}

/// A user object of about 2.9 KB, as Clerk's are.
fn user(id: &str) -> String {
    let properties: Vec<String> =
        (0..50).map(|n| format!(r#""property_{n:0>2}":"the value of property {n:0>2}""#)).collect();
    format!(
        r#"{{"id":"{id}","object":"user","username":"ada","first_name":"Ada","last_name":"Lovelace",
        "locked":false,"banned":false,"verification_attempts_remaining":100,
        "primary_email_address_id":"idn_1","email_addresses":[{{"id":"idn_1",
        "email_address":"ada@example.org"}}],"updated_at":1750000000000,
        "private_metadata":{{{}}}}}"#,
        properties.join(",")
    )
}

fn ok(body: String) -> Reply {
    Reply::Answer(Answer { status: 200, body: body.into_bytes(), ..Answer::default() })
}

fn input(c: &mut Criterion) {
    let text = (0..N_RECORDS).map(|n| id(n) + "\n").collect::<String>();
    let records = || input::read(Source::bytes("ids", text.as_bytes()), &Options::default());
    let mut group = c.benchmark_group("input");
    group.throughput(Throughput::Elements(u64::from(N_RECORDS)));
    group.bench_function("read records", |b| b.iter(|| records().expect("a list")));
    let records = Records {
        records: (0..N_RECORDS).map(|n| InputRecord::new(u64::from(n), &id(n))).collect(),
        ..Records::default()
    };
    let plan =
        || Plan::build(&records, &ExcludeList::default(), Done::default(), SystemTime::UNIX_EPOCH);
    group.bench_function("plan", |b| b.iter(plan));
    group.finish();
}

fn results(c: &mut Criterion) {
    let record = InputRecord::new(2, &id(0));
    let row = Row {
        user_id: id(0).parse().ok(),
        http_status: Some(200),
        attempts: 1,
        user: UserSnapshot::parse(user(&id(0))).ok().map(Box::new),
        ..Row::new(&record, Outcome::Unlocked, SystemTime::UNIX_EPOCH)
    };
    let mut writer = Writer::stream(io::sink(), RowFormat::default()).expect("a writer");
    c.bench_function("write a row", |b| {
        b.iter(|| {
            writer.append(black_box(&row));
            writer.commit().expect("written");
        });
    });
}

fn responses(c: &mut Criterion) {
    let user_id: UserId = id(0).parse().expect("an ID");
    let unlocked = ok(user(&id(0)));
    c.bench_function("decode an unlocked user", |b| {
        let decode = |reply| classify::unlock(&user_id, reply);
        b.iter_batched(|| unlocked.clone(), decode, BatchSize::SmallInput);
    });
    let users: Vec<String> = (0..100).map(|n| user(&id(n))).collect();
    let asked: Vec<Identifier> =
        (0..100).filter_map(|n| Some(Identifier::UserId(id(n).parse().ok()?))).collect();
    let looked_up = ok(format!("[{}]", users.join(",")));
    c.bench_function("decode a look-up of 100 users", |b| {
        let decode = |reply| classify::look_up(&asked, 500, reply);
        b.iter_batched(|| looked_up.clone(), decode, BatchSize::SmallInput);
    });
}

fn pacer(c: &mut Criterion) {
    let per = Duration::from_secs(10);
    let quota = Quota { n: NonZeroU32::new(1_000).expect("more than none"), per };
    let settings = GateSettings { pace: Pace::Burst(quota), give_up_after: per, shards: 1 };
    let (mut gate, mut now) = (Gate::new(settings), Instant::now());
    c.bench_function("let a request through the gate", |b| {
        b.iter(|| {
            now += Duration::from_millis(20);
            black_box(gate.check(now));
            let sent = gate.send(now);
            gate.report(sent, now, Report::Answered)
        });
    });
}

criterion_group!(hot_parts, input, results, responses, pacer);
criterion_main!(hot_parts);
