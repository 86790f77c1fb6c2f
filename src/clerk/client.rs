//! The client. One function sends every request and turns every result into a reply.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::SystemTime;

use futures_util::{Stream, TryStreamExt, stream};
use reqwest::header::{CONTENT_LENGTH, DATE, HeaderName, RETRY_AFTER};
use reqwest::{Method, Response};
use tokio::time::Sleep;

use super::body::{MAX_ERROR_BODY, count_of, error_of, user_of, users_of};
use super::connections::Connections;
use super::reply::{Answer, Head, Reply};
use super::request::{Urls, n_that_fit};
use super::{
    ApiAddress, BuildError, ClientBuilder, Error, Fault, PageRequest, SecretKey, User, UserFilter,
    UserId, parse_retry_after,
};

#[cfg(feature = "cli")]
pub(crate) mod probe;

/// A client of one API with one key. Clones share their connections.
///
/// Each method sends one request, or none if no connection can be made; [`pages`](Client::pages)
/// and [`walk`](Client::walk) send one per page. The client does not pace, retry or follow
/// redirects.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    settings: ClientBuilder,
    connections: Connections,
    urls: Urls,
}

/// The maximum length of a `CF-Ray` header, in characters. Cloudflare's have 20.
const MAX_RAY: usize = 100;

impl Client {
    /// Starts building a client that sends this key.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use bulk_unlock::clerk::{ApiAddress, Client, SecretKey};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let key = SecretKey::parse("sk_test_abcdefghijklmnopqrst")?;
    /// let client = Client::builder(key)
    ///     .address(ApiAddress::parse("http://localhost:8787", false)?)
    ///     .timeout(Duration::from_secs(10))
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder(key: SecretKey) -> ClientBuilder {
        ClientBuilder::new(key)
    }

    /// Starts building a client from the environment variables of Clerk's SDKs: `CLERK_SECRET_KEY`
    /// and, if set, `CLERK_API_URL`.
    ///
    /// # Errors
    ///
    /// When `CLERK_SECRET_KEY` is not a secret key or `CLERK_API_URL` is not an address.
    pub fn builder_from_env() -> Result<ClientBuilder, BuildError> {
        ClientBuilder::from_env(|name| std::env::var_os(name))
    }

    pub(super) fn new(settings: ClientBuilder, connections: Connections) -> Self {
        let urls = Urls::new(&settings.address);
        Self { inner: Arc::new(Inner { settings, connections, urls }) }
    }

    /// The address of the API.
    pub fn address(&self) -> &ApiAddress {
        &self.inner.settings.address
    }

    /// The version of the API (`Clerk-API-Version`).
    pub fn api_version(&self) -> &str {
        &self.inner.settings.api_version
    }

    /// The secret key.
    pub fn key(&self) -> &SecretKey {
        &self.inner.settings.key
    }

    /// Unlocks a user and returns the user object from the response, in which `locked` should be
    /// `false`. Unlocking a user who is not locked succeeds.
    ///
    /// The equivalent of `clerkClient.users.unlockUser(userId)` in Clerk's JavaScript SDK.
    ///
    /// # Errors
    ///
    /// When the API answers with a status other than 200, when no complete response arrives (the
    /// user may be unlocked nevertheless), or when the response is not this user's object.
    ///
    /// ```no_run
    /// # use bulk_unlock::clerk::{Client, Error, UserId};
    /// # async fn example(client: &Client, id: &UserId) -> Result<(), Error> {
    /// match client.unlock(id).await {
    ///     Ok(user) => println!("{} is locked: {:?}", user.id, user.locked),
    ///     Err(Error::Api { status: 404, .. }) => println!("no such user"),
    ///     Err(error) => return Err(error),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn unlock(&self, user: &UserId) -> Result<User, Error> {
        one_user(self.try_unlock(user).await, user)
    }

    /// Locks a user and returns the user object from the response.
    ///
    /// The equivalent of `clerkClient.users.lockUser(userId)` in Clerk's JavaScript SDK.
    ///
    /// # Errors
    ///
    /// As for [`unlock`](Client::unlock).
    pub async fn lock(&self, user: &UserId) -> Result<User, Error> {
        one_user(self.try_lock(user).await, user)
    }

    /// Finds users by up to 100 ids. An id without a user is not an error.
    ///
    /// # Errors
    ///
    /// When the API answers with a status other than 200, when no complete response arrives, when
    /// the response is not a list or contains other users, or when the values do not fit into one
    /// request.
    pub async fn users_by_id(&self, ids: &[UserId]) -> Result<Vec<User>, Error> {
        self.look_up("user_id", ids, |user, id| user.id == id).await
    }

    /// Finds users by up to 100 email addresses. Case is ignored.
    ///
    /// # Errors
    ///
    /// As for [`users_by_id`](Client::users_by_id).
    pub async fn users_by_email(&self, emails: &[impl AsRef<str>]) -> Result<Vec<User>, Error> {
        let has = |user: &User, email: &str| {
            user.email_addresses.iter().any(|it| eq_ignore_case(&it.email_address, email))
        };
        self.look_up("email_address", emails, has).await
    }

    /// Finds users by up to 100 phone numbers (E.164).
    ///
    /// # Errors
    ///
    /// As for [`users_by_id`](Client::users_by_id).
    pub async fn users_by_phone(&self, phones: &[impl AsRef<str>]) -> Result<Vec<User>, Error> {
        let has =
            |user: &User, phone: &str| user.phone_numbers.iter().any(|it| it.phone_number == phone);
        self.look_up("phone_number", phones, has).await
    }

    /// Finds users by up to 100 usernames. Case is ignored.
    ///
    /// # Errors
    ///
    /// As for [`users_by_id`](Client::users_by_id).
    pub async fn users_by_username(&self, names: &[impl AsRef<str>]) -> Result<Vec<User>, Error> {
        let has = |user: &User, name: &str| {
            user.username.as_deref().is_some_and(|it| eq_ignore_case(it, name))
        };
        self.look_up("username", names, has).await
    }

    /// Finds users by up to 100 external ids.
    ///
    /// # Errors
    ///
    /// As for [`users_by_id`](Client::users_by_id).
    pub async fn users_by_external_id(&self, ids: &[impl AsRef<str>]) -> Result<Vec<User>, Error> {
        let has = |user: &User, id: &str| user.external_id.as_deref() == Some(id);
        self.look_up("external_id", ids, has).await
    }

    /// Gets one page of users. A page that is not full may be the last; an empty page is.
    ///
    /// # Errors
    ///
    /// When the API answers with a status other than 200, when no complete response arrives, or when
    /// the response is not a list of users.
    pub async fn page(&self, page: &PageRequest) -> Result<Vec<User>, Error> {
        let answer = ok_answer(self.try_page(page).await)?;
        users_of(&answer.body).map_err(Error::untrusted)
    }

    /// Counts the users that match a filter.
    ///
    /// # Errors
    ///
    /// When the API answers with a status other than 200, when no complete response arrives, or when
    /// the response does not contain a count.
    pub async fn count(&self, filter: &UserFilter) -> Result<u64, Error> {
        let answer = ok_answer(self.try_count(filter).await)?;
        count_of(&answer.body).ok_or_else(|| Error::untrusted("the response has no total_count"))
    }

    /// Streams this page and all pages after it. Each is requested when the stream is polled. The
    /// stream ends after the first error; to continue, start after the last user that it returned.
    ///
    /// Users who are created or deleted during the walk may be missing.
    ///
    /// # Errors
    ///
    /// As for [`page`](Client::page); also when a page repeats a user of an earlier page.
    pub fn pages(
        &self,
        first: PageRequest,
    ) -> impl Stream<Item = Result<Vec<User>, Error>> + Send + use<> {
        let start = (self.clone(), first, HashSet::new());
        stream::try_unfold(start, |(client, mut request, mut cursors)| async move {
            cursors.extend(request.starting_after.as_ref().map(UserId::to_string));
            let users = client.page(&request).await?;
            let Some(last) = users.last() else { return Ok(None) };
            if users.iter().any(|user| cursors.contains(&user.id)) {
                return Err(Error::untrusted("the page repeats users of an earlier page"));
            }
            let no_cursor = |_| Error::untrusted("the last user of the page has no valid id");
            request.starting_after = Some(last.id.parse().map_err(no_cursor)?);
            Ok(Some((users, (client, request, cursors))))
        })
    }

    /// Streams all users that match a filter, newest first; see [`pages`](Client::pages).
    ///
    /// ```no_run
    /// # use bulk_unlock::clerk::{Client, Error, UserFilter};
    /// use futures_util::TryStreamExt;
    ///
    /// # async fn example(client: &Client) -> Result<(), Error> {
    /// let mut users = std::pin::pin!(client.walk(UserFilter::default()));
    /// while let Some(user) = users.try_next().await? {
    ///     if user.locked == Some(true) {
    ///         println!("{}", user.id);
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn walk(
        &self,
        filter: UserFilter,
    ) -> impl Stream<Item = Result<User, Error>> + Send + use<> {
        let pages = self.pages(PageRequest { filter, ..PageRequest::default() });
        pages.map_ok(|users| stream::iter(users.into_iter().map(Ok))).try_flatten()
    }

    /// Makes all further requests use new connections. Requests in flight end on the old ones.
    ///
    /// After a timeout, the client does so automatically.
    pub fn use_fresh_connections(&self) {
        self.inner.connections.replace(&self.inner.connections.current());
    }

    /// One attempt to unlock a user. The body of the answer is not checked.
    pub(crate) async fn try_unlock(&self, user: &UserId) -> Reply {
        let Inner { settings, urls, .. } = &*self.inner;
        self.send(Method::POST, urls.unlock(user), settings.max_answer).await.0
    }

    /// One attempt to lock a user. The body of the answer is not checked.
    pub(crate) async fn try_lock(&self, user: &UserId) -> Reply {
        let Inner { settings, urls, .. } = &*self.inner;
        self.send(Method::POST, urls.lock(user), settings.max_answer).await.0
    }

    /// One attempt to look users up by this query parameter. Requires at least one value, as the API
    /// would otherwise list all users, and at most [`n_that_fit`].
    pub(crate) async fn try_look_up<'v>(
        &self,
        parameter: &'static str,
        values: impl IntoIterator<Item = &'v str>,
    ) -> Reply {
        let url = self.inner.urls.look_up(parameter, values);
        self.send(Method::GET, url, self.inner.settings.max_list).await.0
    }

    /// One attempt to get a page.
    pub(crate) async fn try_page(&self, page: &PageRequest) -> Reply {
        let Inner { settings, urls, .. } = &*self.inner;
        self.send(Method::GET, urls.page(page), settings.max_list).await.0
    }

    /// One attempt to count users.
    pub(crate) async fn try_count(&self, filter: &UserFilter) -> Reply {
        let Inner { settings, urls, .. } = &*self.inner;
        self.send(Method::GET, urls.count(filter), settings.max_answer).await.0
    }

    async fn look_up<V: AsRef<str>>(
        &self,
        parameter: &'static str,
        values: &[V],
        has: impl Fn(&User, &str) -> bool,
    ) -> Result<Vec<User>, Error> {
        if values.is_empty() {
            return Ok(Vec::new());
        }
        let texts = || values.iter().map(AsRef::as_ref);
        let n_fitting = n_that_fit(parameter, texts());
        if values.len() > n_fitting {
            return Err(Error::TooManyValues { n_fitting });
        }
        let answer = ok_answer(self.try_look_up(parameter, texts()).await)?;
        let users: Vec<User> = users_of(&answer.body).map_err(Error::untrusted)?;
        // A server that ignores the parameter would list other users.
        if users.iter().all(|user| texts().any(|text| has(user, text))) {
            Ok(users)
        } else {
            Err(Error::untrusted("the response contains a user who was not requested"))
        }
    }

    /// Sends one request. Returns the reply, without the key, and the time of the server if the
    /// response has a `Date`.
    async fn send(
        &self,
        method: Method,
        url: String,
        max_body: usize,
    ) -> (Reply, Option<SystemTime>) {
        let ClientBuilder { timeout, connect_timeout, key, .. } = &self.inner.settings;
        let generation = self.inner.connections.current();
        let mut time_is_up = pin!(tokio::time::sleep(*timeout));
        let is_post = method == Method::POST;
        let mut request = generation.http.request(method, url);
        if is_post {
            // Some proxies refuse a POST request without a length.
            request = request.header(CONTENT_LENGTH, 0);
        }
        let sent = tokio::select! {
            biased;
            sent = request.send() => sent.map_err(|error| {
                Fault::of_sending(&error.without_url(), *connect_timeout).without_key(key)
            }),
            () = &mut time_is_up => Err(Fault::Timeout(*timeout)),
        };
        let (reply, date) = match sent {
            Ok(response) => {
                let date =
                    header(&response, DATE).and_then(|it| httpdate::parse_http_date(it).ok());
                (self.receive(response, date, max_body, time_is_up).await, date)
            }
            Err(fault) => (Reply::Fault(fault), None),
        };
        if let Reply::Fault(Fault::Timeout(_)) | Reply::Broken(_, Fault::Timeout(_)) = reply {
            self.inner.connections.replace(&generation);
        }
        (reply, date)
    }

    async fn receive(
        &self,
        mut response: Response,
        date: Option<SystemTime>,
        max_body: usize,
        time_is_up: Pin<&mut Sleep>,
    ) -> Reply {
        let ClientBuilder { timeout, key, .. } = &self.inner.settings;
        let status = response.status().as_u16();
        // The key is replaced before the text is cut, so that no part of it is left.
        let ray = header(&response, HeaderName::from_static("cf-ray"))
            .map(|ray| key.hide_in(ray).chars().take(MAX_RAY).collect());
        let head = Head { status, ray };
        if status == PROXY_AUTHENTICATION_REQUIRED {
            return Reply::Broken(head, Fault::ProxyAuthentication);
        }
        let retry_after = header(&response, RETRY_AFTER).and_then(|value| {
            // A date in `Retry-After` refers to the clock of the server.
            parse_retry_after(value, date.unwrap_or_else(local_time))
        });
        let is_error = !response.status().is_success();
        let max_body = if is_error { max_body.min(MAX_ERROR_BODY) } else { max_body };
        let body = tokio::select! {
            biased;
            body = read_body(&mut response, max_body) => body,
            () = time_is_up => Err(Fault::Timeout(*timeout)),
        };
        let body = match body {
            Ok(body) => without_key(body, key),
            // The incomplete body may end in a part of the key.
            Err(fault) if is_decided_by_status(status, &fault) => Vec::new(),
            Err(fault) => return Reply::Broken(head, fault.without_key(key)),
        };
        Reply::Answer(Answer { status, retry_after, ray: head.ray, body })
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("address", &self.inner.settings.address.as_str())
            .field("key", &self.inner.settings.key)
            .finish_non_exhaustive()
    }
}

const PROXY_AUTHENTICATION_REQUIRED: u16 = 407;

fn header(response: &Response, name: HeaderName) -> Option<&str> {
    response.headers().get(name).and_then(|value| value.to_str().ok())
}

/// The body, in which a server may repeat the key, without it.
fn without_key(body: Vec<u8>, key: &SecretKey) -> Vec<u8> {
    match str::from_utf8(&body).map(|text| key.hide_in(text)) {
        Ok(Cow::Owned(hidden)) => hidden.into_bytes(),
        Ok(Cow::Borrowed(_)) | Err(_) => body,
    }
}

#[allow(clippy::disallowed_methods, reason = "used only if the response has no `Date`")]
fn local_time() -> SystemTime {
    SystemTime::now()
}

/// Whether an incomplete response counts by its status: one that is retried or ends the run for any
/// body, or an error page that is only too long. All other final answers must be complete.
fn is_decided_by_status(status: u16, fault: &Fault) -> bool {
    let is_too_long = matches!(fault, Fault::TooLarge(_)) && status >= 300;
    is_too_long || matches!(status, 401 | 408 | 425 | 429 | 500..=599)
}

async fn read_body(response: &mut Response, max_body: usize) -> Result<Vec<u8>, Fault> {
    let too_large = || Fault::TooLarge(max_body as u64);
    let announced = response.content_length().unwrap_or(0);
    if announced > max_body as u64 {
        return Err(too_large());
    }
    let mut body = Vec::with_capacity(usize::try_from(announced).unwrap_or(0));
    while let Some(chunk) = response.chunk().await.map_err(|why| Fault::of_reading(&why))? {
        if body.len() + chunk.len() > max_body {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn one_user(reply: Reply, user: &UserId) -> Result<User, Error> {
    user_of(ok_answer(reply)?.body, user).map_err(Error::untrusted)
}

/// The answer if its status is 200.
fn ok_answer(reply: Reply) -> Result<Answer, Error> {
    let answer = match reply {
        Reply::Answer(answer) => answer,
        Reply::Fault(fault) | Reply::Broken(_, fault) => return Err(fault.into()),
    };
    if answer.status == 200 {
        return Ok(answer);
    }
    let mut error = error_of(&answer.body).unwrap_or_default();
    error.trace_id = error.trace_id.or(answer.ray);
    Err(Error::Api { status: answer.status, error, retry_after: answer.retry_after })
}

fn eq_ignore_case(text: &str, other: &str) -> bool {
    text.to_lowercase() == other.to_lowercase()
}

#[cfg(test)]
mod tests;
