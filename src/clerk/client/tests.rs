use std::time::Duration;

use super::*;
use crate::clerk::test_server::{Act, Server, passes_with};
use crate::clerk::{KeyKind, TimeRange};

const KEY: &str = "sk_test_0123456789abcdefXYZ1";

fn builder(url: &str) -> ClientBuilder {
    let mut builder = Client::builder(SecretKey::parse(KEY).unwrap());
    builder.max_answer = 1_000;
    builder.address(ApiAddress::parse(url, false).unwrap())
}

fn client(url: &str) -> Client {
    builder(url).build().unwrap()
}

/// Long enough for an answer from a loaded machine.
const TIMEOUT: Duration = Duration::from_millis(400);

fn impatient_client(url: &str) -> Client {
    builder(url).timeout(TIMEOUT).build().unwrap()
}

fn user() -> UserId {
    "user_a".parse().unwrap()
}

fn response(head: &str, body: &str) -> Vec<u8> {
    format!("{head}\r\n\r\n{body}").into_bytes()
}

/// The reply to one unlock.
async fn reply_to(act: Act) -> Reply {
    client(&Server::play([act]).url()).try_unlock(&user()).await
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
async fn a_request_has_only_the_required_headers() {
    let server =
        Server::play([Act::Respond(response("HTTP/1.1 200 OK\r\nContent-Length: 2", "{}"))]);
    client(&server.url()).try_unlock(&user()).await;
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
async fn the_values_of_a_look_up_are_encoded() {
    let server =
        Server::play([Act::Respond(response("HTTP/1.1 200 OK\r\nContent-Length: 2", "[]"))]);
    let reply = client(&server.url()).try_look_up("email_address", ["a+b@x.org"]).await;
    assert_eq!(answer(reply).body, b"[]");
    let request = server.requests().remove(0);
    let line = request.lines().next().unwrap();
    assert_eq!(line, "get /v1/users?limit=500&email_address=a%2bb%40x.org http/1.1");
}

#[tokio::test]
async fn pages_and_counts_are_requested_with_their_filter() {
    let respond =
        Act::Respond(response("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close", "[]"));
    let server = Server::play([respond.clone(), respond]);
    let client = client(&server.url());
    client.try_page(&PageRequest::default()).await;
    let created_at = TimeRange { before: Some(7), after: None };
    client.try_count(&UserFilter { created_at, ..UserFilter::default() }).await;
    let lines: Vec<_> =
        server.requests().iter().map(|it| it.lines().next().unwrap().to_owned()).collect();
    let count = "get /v1/users/count?created_at_before=7 http/1.1";
    assert_eq!(lines, ["get /v1/users?limit=500 http/1.1", count]);
}

#[tokio::test]
async fn a_200_is_an_answer() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 15\r\nCF-Ray: 8f-FRA";
    let answer = answer(reply_to(Act::Respond(response(head, r#"{"id":"user_a"}"#))).await);
    let expected = Answer {
        status: 200,
        retry_after: None,
        ray: Some("8f-FRA".into()),
        body: br#"{"id":"user_a"}"#.into(),
    };
    assert_eq!(answer, expected);
}

#[tokio::test]
async fn an_error_status_is_an_answer() {
    let head = "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 2\r\nRetry-After: 7";
    let answer = answer(reply_to(Act::Respond(response(head, "{}"))).await);
    assert_eq!((answer.status, answer.retry_after), (429, Some(Duration::from_secs(7))));
}

#[tokio::test]
async fn a_date_in_retry_after_refers_to_the_clock_of_the_server() {
    let head = "HTTP/1.1 503 Unavailable\r\nContent-Length: 0\r\n\
        Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nRetry-After: Sun, 06 Nov 1994 08:49:57 GMT";
    let answer = answer(reply_to(Act::Respond(response(head, ""))).await);
    assert_eq!(answer.retry_after, Some(Duration::from_secs(20)));
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let trap = Server::play([Act::Respond(response("HTTP/1.1 200 OK\r\nContent-Length: 0", ""))]);
    let head = format!("HTTP/1.1 307 Moved\r\nLocation: {}/\r\nContent-Length: 0", trap.url());
    let answer = answer(reply_to(Act::Respond(response(&head, ""))).await);
    assert_eq!(answer.status, 307);
    assert_eq!(trap.requests(), [""; 0]);
}

#[tokio::test]
async fn a_refused_connection_is_a_fault() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let reply = client(&url).try_unlock(&user()).await;
    assert_eq!(fault(reply), Fault::Connection("connection refused".into()));
}

#[tokio::test]
async fn a_connection_that_ends_before_an_answer_is_a_fault() {
    for act in [Act::Reset, Act::Respond(vec![]), Act::Respond(b"HTTP/1.1 200 OK\r\nConte".into())]
    {
        let fault = fault(reply_to(act.clone()).await);
        assert!(matches!(fault, Fault::Connection(_)), "{act:?}: {fault:?}");
    }
}

#[tokio::test]
async fn a_response_that_is_not_http_is_a_fault() {
    for sent in ["SSH-2.0-OpenSSH\r\n\r\n", "HTTP/1.1 banana\r\n\r\n", "\0\0\0\0\r\n\r\n"] {
        let fault = fault(reply_to(Act::Respond(sent.into())).await);
        assert!(matches!(fault, Fault::Connection(_)), "{sent:?}: {fault:?}");
    }
}

#[tokio::test]
async fn a_broken_request_is_not_repeated() {
    let server = Server::play([Act::Respond(vec![]), Act::Respond(vec![])]);
    client(&server.url()).try_unlock(&user()).await;
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_truncated_answer_is_a_fault() {
    for head in ["Content-Length: 20", "Transfer-Encoding: chunked"] {
        let sent = response(&format!("HTTP/1.1 200 OK\r\n{head}"), "14\r\n{\"id\":");
        let fault = fault(reply_to(Act::Respond(sent)).await);
        assert!(matches!(fault, Fault::Truncated(_)), "{head}: {fault:?}");
    }
}

#[tokio::test]
async fn a_truncated_error_is_an_answer_with_its_status() {
    let head = "HTTP/1.1 429 Slow\r\nRetry-After: 9\r\nContent-Length: 20";
    for act in [Act::Respond(response(head, "{")), Act::RespondAndHang(response(head, "{"))] {
        let server = Server::play([act]);
        let answer = answer(impatient_client(&server.url()).try_unlock(&user()).await);
        assert_eq!((answer.status, answer.retry_after), (429, Some(Duration::from_secs(9))));
    }
}

/// A final answer must be complete; an error page that is only too long counts as complete.
#[tokio::test]
async fn a_truncated_final_answer_is_a_fault() {
    for status in [302, 400, 403, 404, 409, 422] {
        let head = format!("HTTP/1.1 {status} X\r\nCF-Ray: 8a\r\nContent-Length: 20");
        let Reply::Broken(head, fault) = reply_to(Act::Respond(response(&head, "{"))).await else {
            panic!("{status} is an answer");
        };
        assert_eq!((head.status, head.ray.as_deref()), (status, Some("8a")));
        assert!(matches!(fault, Fault::Truncated(_)), "{fault:?}");
    }
    let head = format!("HTTP/1.1 404 X\r\nContent-Length: {}", 9 << 20);
    assert_eq!(answer(reply_to(Act::Respond(response(&head, "<html>"))).await).status, 404);
}

#[tokio::test]
async fn a_missing_answer_ends_at_the_timeout() {
    for sent in ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"] {
        let server = Server::play([Act::RespondAndHang(sent.into())]);
        let fault = fault(impatient_client(&server.url()).try_unlock(&user()).await);
        assert_eq!(fault, Fault::Timeout(TIMEOUT), "{sent:?}");
    }
}

#[tokio::test]
async fn a_slow_answer_ends_at_the_timeout() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 900";
    for sent in [response(head, ""), b"HTTP/1.1 200 OK\r\nX: ".into()] {
        let server = Server::play([Act::RespondAndTrickle(sent)]);
        let fault = fault(impatient_client(&server.url()).try_unlock(&user()).await);
        assert!(matches!(fault, Fault::Timeout(_)), "{fault:?}");
    }
}

#[tokio::test]
async fn a_body_above_the_limit_is_a_fault() {
    let body = "x".repeat(1_001);
    let chunked = format!("3e9\r\n{body}\r\n0\r\n\r\n");
    for sent in [
        response("HTTP/1.1 200 OK\r\nContent-Length: 1001", &body),
        response("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked", &chunked),
        response("HTTP/1.1 200 OK", &body),
        response("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999", ""),
    ] {
        assert_eq!(fault(reply_to(Act::Respond(sent)).await), Fault::TooLarge(1_000));
    }
    let whole = response("HTTP/1.1 200 OK", &body[1..]);
    assert_eq!(answer(reply_to(Act::Respond(whole)).await).body.len(), 1_000);
}

#[tokio::test]
async fn a_list_has_a_larger_limit() {
    let sent = response("HTTP/1.1 200 OK\r\nContent-Length: 5000", &" ".repeat(5_000));
    let server = Server::play([Act::Respond(sent)]);
    let reply = client(&server.url()).try_page(&PageRequest::default()).await;
    assert_eq!(answer(reply).body.len(), 5_000);
}

#[tokio::test]
async fn a_compressed_body_is_not_decompressed() {
    let head = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3";
    let answer = answer(reply_to(Act::Respond(response(head, "\u{1f}ab"))).await);
    assert_eq!(answer.body, b"\x1fab");
}

async fn unlock(head: &str, body: &str) -> Result<User, Error> {
    let server = Server::play([Act::Respond(response(head, body))]);
    client(&server.url()).unlock(&user()).await
}

#[tokio::test]
async fn unlock_returns_the_user() {
    let body = r#"{"id":"user_a","locked":false,"password_enabled":true}"#;
    let user = unlock("HTTP/1.1 200 OK", body).await.unwrap();
    assert_eq!((user.locked, user.password_enabled, user.json.as_str()), (Some(false), true, body));
}

#[tokio::test]
async fn a_refusal_is_an_error_with_code_and_trace_id() {
    let body = r#"{"errors":[{"code":"resource_not_found","message":"gone"}]}"#;
    let why = unlock("HTTP/1.1 404 Not Found\r\nCF-Ray: r1", body).await.unwrap_err();
    let Error::Api { status, error, .. } = why else { panic!("{why:?}") };
    assert_eq!((status, error.code.as_deref()), (404, Some("resource_not_found")));
    assert_eq!(error.trace_id.as_deref(), Some("r1"));
}

#[tokio::test]
async fn a_200_without_the_object_of_the_user_is_an_error() {
    for body in [r#"{"id":"user_b"}"#, "", "[]", "<html>", "{"] {
        let user = unlock("HTTP/1.1 200 OK", body).await;
        assert!(matches!(user, Err(Error::Untrusted { .. })), "{user:?}");
    }
}

#[tokio::test]
async fn lock_is_a_post_request_to_the_lock_of_the_user() {
    let body = r#"{"id":"user_a","locked":true}"#;
    let server = Server::play([Act::Respond(response("HTTP/1.1 200 OK", body))]);
    let user = client(&server.url()).lock(&user()).await.unwrap();
    assert_eq!(user.locked, Some(true));
    assert!(server.requests()[0].starts_with("post /v1/users/user_a/lock http/1.1\n"));
}

/// A server that sends these bodies, one per connection.
fn serving(bodies: &[&str]) -> Server {
    let head = |body: &str| {
        format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}", body.len())
    };
    Server::play(bodies.iter().map(|body| Act::Respond(response(&head(body), body))))
}

fn lines(server: &Server) -> Vec<String> {
    let first = |request: &String| request.lines().next().unwrap().replace(" http/1.1", "");
    server.requests().iter().map(first).collect()
}

#[tokio::test]
async fn users_are_looked_up_by_each_identifier() {
    let user = r#"[{"id":"user_a","username":"Ada","external_id":"7",
        "email_addresses":[{"email_address":"Ada@x.org"}],
        "phone_numbers":[{"phone_number":"+15551234"}]}]"#;
    let server = serving(&[user; 5]);
    let client = client(&server.url());
    let found = [
        client.users_by_id(&["user_a".parse().unwrap()]).await,
        client.users_by_email(&["ada@x.org", "bob@x.org"]).await,
        client.users_by_phone(&["+15551234"]).await,
        client.users_by_username(&["ada".to_owned()]).await,
        client.users_by_external_id(&["7"]).await,
    ];
    for users in found {
        assert_eq!(users.unwrap()[0].id, "user_a");
    }
    assert_eq!(
        lines(&server),
        [
            "get /v1/users?limit=500&user_id=user_a",
            "get /v1/users?limit=500&email_address=ada%40x.org&email_address=bob%40x.org",
            "get /v1/users?limit=500&phone_number=%2b15551234",
            "get /v1/users?limit=500&username=ada",
            "get /v1/users?limit=500&external_id=7",
        ]
    );
}

#[tokio::test]
async fn a_look_up_with_another_user_is_an_error() {
    let server = serving(&[r#"[{"id":"user_a","external_id":"7"},{"id":"user_b"}]"#]);
    let users = client(&server.url()).users_by_external_id(&["7"]).await;
    assert!(matches!(users, Err(Error::Untrusted { .. })), "{users:?}");
}

#[tokio::test]
async fn a_look_up_without_values_or_with_too_many_sends_nothing() {
    let server = serving(&[]);
    let client = client(&server.url());
    // Without values, the API would list all users.
    assert_eq!(client.users_by_email(&[] as &[&str]).await.unwrap(), []);
    let too_many = client.users_by_external_id(&["7"; 101]).await;
    assert!(matches!(too_many, Err(Error::TooManyValues { n_fitting: 100 })), "{too_many:?}");
    assert_eq!(server.requests(), [""; 0]);
}

#[tokio::test]
async fn a_count_is_a_number() {
    let server = serving(&[r#"{"object":"total_count","total_count":12}"#, "[]"]);
    let client = client(&server.url());
    assert_eq!(client.count(&UserFilter::default()).await.unwrap(), 12);
    let count = client.count(&UserFilter::default()).await;
    assert!(matches!(count, Err(Error::Untrusted { .. })), "{count:?}");
}

#[tokio::test]
async fn a_walk_ends_with_an_empty_page() {
    let server = serving(&[r#"[{"id":"user_c"},{"id":"user_b"}]"#, r#"[{"id":"user_a"}]"#, "[]"]);
    let walk = client(&server.url()).walk(UserFilter::default());
    let users: Vec<User> = walk.try_collect().await.unwrap();
    let ids: Vec<&str> = users.iter().map(|user| user.id.as_str()).collect();
    assert_eq!(ids, ["user_c", "user_b", "user_a"]);
    assert_eq!(
        lines(&server),
        [
            "get /v1/users?limit=500",
            "get /v1/users?limit=500&starting_after=user_b",
            "get /v1/users?limit=500&starting_after=user_a",
        ]
    );
}

#[tokio::test]
async fn a_walk_with_a_repeated_page_ends_with_an_error() {
    let server = serving(&[r#"[{"id":"user_b"}]"#, r#"[{"id":"user_a"}]"#, r#"[{"id":"user_b"}]"#]);
    let mut walk = pin!(client(&server.url()).walk(UserFilter::default()));
    assert_eq!(walk.try_next().await.unwrap().unwrap().id, "user_b");
    assert_eq!(walk.try_next().await.unwrap().unwrap().id, "user_a");
    let why = walk.try_next().await.unwrap_err();
    assert!(why.to_string().ends_with("repeats users of an earlier page"), "{why}");
    assert!(matches!(walk.try_next().await, Ok(None)));
}

#[test]
fn futures_and_streams_are_send() {
    fn is_send<T: Send>(_: &T) {}
    fn is_sync<T: Sync>(_: &T) {}
    let client = client("http://127.0.0.1:1");
    is_send(&client);
    is_sync(&client);
    let (user, filter, page) = (user(), UserFilter::default(), PageRequest::default());
    is_send(&client.unlock(&user));
    is_send(&client.lock(&user));
    is_send(&client.users_by_id(std::slice::from_ref(&user)));
    is_send(&client.users_by_email(&["a@x.org"]));
    is_send(&client.users_by_phone(&["+15551234"]));
    is_send(&client.users_by_username(&["a"]));
    is_send(&client.users_by_external_id(&["7"]));
    is_send(&client.page(&page));
    is_send(&client.count(&filter));
    is_send(&client.pages(page.clone()));
    is_send(&client.walk(filter.clone()));
}

#[tokio::test]
async fn a_proxy_that_requires_authentication_has_its_own_fault() {
    let head = "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0";
    let reply = reply_to(Act::Respond(response(head, ""))).await;
    let head = Head { status: 407, ray: None };
    assert_eq!(reply, Reply::Broken(head, Fault::ProxyAuthentication));
}

#[tokio::test]
async fn a_key_in_a_response_is_hidden_before_text_is_cut() {
    let ray = format!("{}{KEY}", "r".repeat(MAX_RAY - 15));
    let head = format!("HTTP/1.1 422 X\r\nCF-Ray: {ray}");
    let answer =
        answer(reply_to(Act::Respond(response(&head, &format!(r#"{{"key":"{KEY}"}}"#)))).await);
    let hidden = format!("{}sk_test_…XYZ1", "r".repeat(MAX_RAY - 15));
    assert_eq!(answer.ray, Some(hidden.chars().take(MAX_RAY).collect()));
    assert_eq!(answer.body, r#"{"key":"sk_test_…XYZ1"}"#.as_bytes());
}

#[tokio::test]
async fn a_truncated_body_is_dropped() {
    let head = "HTTP/1.1 500 X\r\nContent-Length: 100";
    let broken = format!(r#"{{"key":"{}"#, &KEY[..20]);
    assert_eq!(answer(reply_to(Act::Respond(response(head, &broken))).await).body, b"");
}

#[tokio::test]
async fn debug_output_and_errors_do_not_contain_the_key() {
    let builder = builder("http://127.0.0.1:1");
    let client = builder.clone().build().unwrap();
    let error = client.unlock(&user()).await.unwrap_err();
    let shown = format!("{builder:?} {client:#?} {error:?} {error}");
    assert!(!shown.contains(&KEY[8..KEY.len() - 4]), "{shown}");
    assert!(shown.contains("sk_test_…XYZ1"), "{shown}");
    assert_eq!(client.key().kind(), KeyKind::Development);
}

#[test]
fn a_loopback_address_is_reached_without_a_proxy() {
    let proxies = ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];
    passes_with(
        "clerk::client::tests::a_200_is_an_answer",
        &proxies.map(|name| (name, "http://127.0.0.1:1")),
    );
}

#[test]
fn loopback_is_reachable_on_a_system_without_certificates() {
    passes_with(
        "clerk::client::tests::a_200_is_an_answer",
        &[("SSL_CERT_FILE", "/nonexistent"), ("SSL_CERT_DIR", "")],
    );
}
