use crate::clerk::test_server::{Act, Server, passes_with};
use crate::clerk::{KeyKind, SecretKey};
use crate::model::IdentifierKind;

use super::*;

const KEY: &str = "sk_test_0123456789abcdefXYZ1";

fn config(url: &str) -> ClientConfig {
    let address = ApiAddress::parse(url, false).unwrap();
    ClientConfig { max_answer: 1_000, ..ClientConfig::new(address, SecretKey::parse(KEY).unwrap()) }
}

fn client(url: &str) -> Client {
    Client::new(config(url)).unwrap()
}

/// Long enough for a loaded machine to say what it has to say, short enough to wait for.
const TIMEOUT: Duration = Duration::from_millis(400);

fn hasty_client(url: &str) -> Client {
    Client::new(ClientConfig { timeout: TIMEOUT, ..config(url) }).unwrap()
}

fn user() -> UserId {
    "user_a".parse().unwrap()
}

fn say(head: &str, body: &str) -> Vec<u8> {
    format!("{head}\r\n\r\n{body}").into_bytes()
}

/// What one unlock comes to when the server acts so.
async fn reply_to(act: Act) -> Reply {
    client(&Server::play([act]).url()).unlock(&user()).await
}

#[track_caller]
fn answer(reply: Reply) -> Answer {
    match reply {
        Reply::Answer(answer) => answer,
        Reply::Fault(fault) | Reply::Broken(_, fault) => panic!("{fault:?}"),
    }
}

#[track_caller]
fn fault(reply: Reply) -> Fault {
    match reply {
        Reply::Answer(answer) => panic!("{answer:?}"),
        Reply::Fault(fault) | Reply::Broken(_, fault) => fault,
    }
}

#[tokio::test]
async fn a_request_says_what_clerk_wants_to_know_and_nothing_else() {
    let server = Server::play([Act::Say(say("HTTP/1.1 200 OK\r\nContent-Length: 2", "{}"))]);
    client(&server.url()).unlock(&user()).await;
    let requests = server.requests();
    let port = format!(":{}", server.address.port());
    let version = concat!("/", env!("CARGO_PKG_VERSION"));
    let shown = requests[0].replace(&port, "").replace(version, "");
    insta::assert_snapshot!(shown, @"
    post /v1/users/user_a/unlock http/1.1
    content-length: 0
    accept: application/json
    authorization: bearer sk_test_0123456789abcdefxyz1
    clerk-api-version: 2025-11-10
    user-agent: bulk-unlock
    host: 127.0.0.1
    ");
}

#[tokio::test]
async fn what_is_looked_up_arrives_encoded() {
    let server = Server::play([Act::Say(say("HTTP/1.1 200 OK\r\nContent-Length: 2", "[]"))]);
    let email = Identifier::parse(IdentifierKind::Email, &"a+b@x.org".into()).unwrap();
    let reply = client(&server.url()).look_up(&[email]).await;
    assert_eq!(answer(reply).body, b"[]");
    let request = server.requests().remove(0);
    let line = request.lines().next().unwrap();
    assert_eq!(line, "get /v1/users?limit=500&email_address=a%2bb%40x.org http/1.1");
}

#[tokio::test]
async fn pages_and_counts_are_asked_for() {
    let say_it = Act::Say(say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close", "[]"));
    let server = Server::play([say_it.clone(), say_it]);
    let client = client(&server.url());
    client.page(&PageRequest::default()).await;
    client.count(CreatedAt { before: Some(7), after: None }).await;
    let lines: Vec<_> =
        server.requests().iter().map(|it| it.lines().next().unwrap().to_owned()).collect();
    let count = "get /v1/users/count?created_at_before=7 http/1.1";
    assert_eq!(lines, ["get /v1/users?limit=500 http/1.1", count]);
}

#[tokio::test]
async fn a_200_is_an_answer() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 15\r\nCF-Ray: 8f-FRA";
    let answer = answer(reply_to(Act::Say(say(head, r#"{"id":"user_a"}"#))).await);
    let expected = Answer {
        status: 200,
        retry_after: None,
        ray: Some("8f-FRA".into()),
        body: br#"{"id":"user_a"}"#.into(),
    };
    assert_eq!(answer, expected);
}

#[tokio::test]
async fn an_error_is_an_answer_too() {
    let head = "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 2\r\nRetry-After: 7";
    let answer = answer(reply_to(Act::Say(say(head, "{}"))).await);
    assert_eq!((answer.status, answer.retry_after), (429, Some(Duration::from_secs(7))));
}

#[tokio::test]
async fn a_date_to_wait_for_is_by_the_servers_own_clock() {
    let head = "HTTP/1.1 503 Unavailable\r\nContent-Length: 0\r\n\
        Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nRetry-After: Sun, 06 Nov 1994 08:49:57 GMT";
    let answer = answer(reply_to(Act::Say(say(head, ""))).await);
    assert_eq!(answer.retry_after, Some(Duration::from_secs(20)));
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_followed() {
    let trap = Server::play([Act::Say(say("HTTP/1.1 200 OK\r\nContent-Length: 0", ""))]);
    let head = format!("HTTP/1.1 307 Moved\r\nLocation: {}/\r\nContent-Length: 0", trap.url());
    let answer = answer(reply_to(Act::Say(say(&head, ""))).await);
    assert_eq!(answer.status, 307);
    assert_eq!(trap.requests(), [""; 0]);
}

#[tokio::test]
async fn a_refused_connection_is_a_fault() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let reply = client(&url).unlock(&user()).await;
    assert_eq!(fault(reply), Fault::Connection("connection refused".into()));
}

#[tokio::test]
async fn a_connection_that_ends_before_an_answer_is_a_fault() {
    for act in [Act::Reset, Act::Say(vec![]), Act::Say(b"HTTP/1.1 200 OK\r\nConte".into())] {
        let fault = fault(reply_to(act.clone()).await);
        assert!(matches!(fault, Fault::Connection(_)), "{act:?}: {fault:?}");
    }
}

#[tokio::test]
async fn what_is_not_http_is_a_fault() {
    for said in ["SSH-2.0-OpenSSH\r\n\r\n", "HTTP/1.1 banana\r\n\r\n", "\0\0\0\0\r\n\r\n"] {
        let fault = fault(reply_to(Act::Say(said.into())).await);
        assert!(matches!(fault, Fault::Connection(_)), "{said:?}: {fault:?}");
    }
}

#[tokio::test]
async fn an_attempt_is_one_request_even_when_it_breaks() {
    let server = Server::play([Act::Say(vec![]), Act::Say(vec![])]);
    client(&server.url()).unlock(&user()).await;
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_a_fault() {
    for head in ["Content-Length: 20", "Transfer-Encoding: chunked"] {
        let said = say(&format!("HTTP/1.1 200 OK\r\n{head}"), "14\r\n{\"id\":");
        let fault = fault(reply_to(Act::Say(said)).await);
        assert!(matches!(fault, Fault::Truncated(_)), "{head}: {fault:?}");
    }
}

#[tokio::test]
async fn an_error_counts_by_its_status_even_when_its_body_breaks_off_or_never_ends() {
    let head = "HTTP/1.1 429 Slow\r\nRetry-After: 9\r\nContent-Length: 20";
    for act in [Act::Say(say(head, "{")), Act::SayAndHang(say(head, "{"))] {
        let server = Server::play([act]);
        let answer = answer(hasty_client(&server.url()).unlock(&user()).await);
        assert_eq!((answer.status, answer.retry_after), (429, Some(Duration::from_secs(9))));
    }
}

/// A last word is taken from a whole answer alone; a page that is only too long is one.
#[tokio::test]
async fn a_refusal_whose_body_breaks_off_is_no_answer() {
    for status in [302, 400, 403, 404, 409, 422] {
        let head = format!("HTTP/1.1 {status} X\r\nCF-Ray: 8a\r\nContent-Length: 20");
        let Reply::Broken(head, fault) = reply_to(Act::Say(say(&head, "{"))).await else {
            panic!("{status} is taken for an answer");
        };
        assert_eq!((head.status, head.ray.as_deref()), (status, Some("8a")));
        assert!(matches!(fault, Fault::Truncated(_)), "{fault:?}");
    }
    let head = format!("HTTP/1.1 404 X\r\nContent-Length: {}", 9 << 20);
    assert_eq!(answer(reply_to(Act::Say(say(&head, "<html>"))).await).status, 404);
}

#[tokio::test]
async fn silence_ends_at_the_timeout() {
    for said in ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"] {
        let server = Server::play([Act::SayAndHang(said.into())]);
        let fault = fault(hasty_client(&server.url()).unlock(&user()).await);
        assert_eq!(fault, Fault::Timeout(TIMEOUT), "{said:?}");
    }
}

#[tokio::test]
async fn a_trickle_ends_at_the_timeout() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 900";
    for said in [say(head, ""), b"HTTP/1.1 200 OK\r\nX: ".into()] {
        let server = Server::play([Act::SayAndTrickle(said)]);
        let fault = fault(hasty_client(&server.url()).unlock(&user()).await);
        assert!(matches!(fault, Fault::Timeout(_)), "{fault:?}");
    }
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_cut_off() {
    let body = "x".repeat(1_001);
    let chunked = format!("3e9\r\n{body}\r\n0\r\n\r\n");
    for said in [
        say("HTTP/1.1 200 OK\r\nContent-Length: 1001", &body),
        say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked", &chunked),
        say("HTTP/1.1 200 OK", &body),
        say("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999", ""),
    ] {
        assert_eq!(fault(reply_to(Act::Say(said)).await), Fault::TooLarge(1_000));
    }
    let whole = say("HTTP/1.1 200 OK", &body[1..]);
    assert_eq!(answer(reply_to(Act::Say(whole)).await).body.len(), 1_000);
}

#[tokio::test]
async fn a_list_may_be_larger_than_an_answer() {
    let said = say("HTTP/1.1 200 OK\r\nContent-Length: 5000", &" ".repeat(5_000));
    let server = Server::play([Act::Say(said)]);
    let reply = client(&server.url()).page(&PageRequest::default()).await;
    assert_eq!(answer(reply).body.len(), 5_000);
}

#[tokio::test]
async fn what_is_packed_stays_packed() {
    let head = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3";
    let answer = answer(reply_to(Act::Say(say(head, "\u{1f}ab"))).await);
    assert_eq!(answer.body, b"\x1fab");
}

async fn unlock_user(head: &str, body: &str) -> Result<User, Error> {
    let server = Server::play([Act::Say(say(head, body))]);
    client(&server.url()).unlock_user(&user()).await
}

#[tokio::test]
async fn unlock_user_gives_the_typed_user() {
    let body = r#"{"id":"user_a","locked":false,"password_enabled":true}"#;
    let user = unlock_user("HTTP/1.1 200 OK", body).await.unwrap();
    assert_eq!((user.locked, user.password_enabled, user.json.as_str()), (Some(false), true, body));
}

#[tokio::test]
async fn unlock_user_says_what_the_api_says() {
    let body = r#"{"errors":[{"code":"resource_not_found","message":"gone"}]}"#;
    let why = unlock_user("HTTP/1.1 404 Not Found\r\nCF-Ray: r1", body).await.unwrap_err();
    let Error::Api { status, error } = why else { panic!("{why:?}") };
    assert_eq!((status, error.code.as_deref()), (404, Some("resource_not_found")));
    assert_eq!(error.trace_id.as_deref(), Some("r1"));
}

#[tokio::test]
async fn unlock_user_does_not_trust_another_users_object() {
    let another = unlock_user("HTTP/1.1 200 OK", r#"{"id":"user_b"}"#).await;
    assert!(matches!(another, Err(Error::Untrusted(Untrusted::AnotherUser))), "{another:?}");
    for body in ["", "[]", "<html>", "{"] {
        let no_user = unlock_user("HTTP/1.1 200 OK", body).await;
        assert!(matches!(no_user, Err(Error::Untrusted(Untrusted::NoUser(_)))), "{no_user:?}");
    }
}

#[tokio::test]
async fn the_key_shows_nowhere() {
    let config = config("http://127.0.0.1:1");
    let client = Client::new(config.clone()).unwrap();
    let error = client.unlock_user(&user()).await.unwrap_err();
    let shown = format!("{config:?} {client:#?} {error:?} {error}");
    assert!(!shown.contains(&KEY[8..KEY.len() - 4]), "{shown}");
    assert!(shown.contains("sk_test_…XYZ1"), "{shown}");
    assert_eq!(config.key.kind(), KeyKind::Test);
}

#[test]
fn a_loopback_address_is_reached_past_any_proxy() {
    let proxies = ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];
    passes_with(
        "clerk::client::tests::a_200_is_an_answer",
        &proxies.map(|name| (name, "http://127.0.0.1:1")),
    );
}

#[test]
fn a_system_without_certificates_can_still_reach_loopback() {
    passes_with(
        "clerk::client::tests::a_200_is_an_answer",
        &[("SSL_CERT_FILE", "/nonexistent"), ("SSL_CERT_DIR", "")],
    );
}
