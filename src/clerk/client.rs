//! The client: one function makes every request, one turns any result into a reply.

use std::fmt;
use std::pin::{Pin, pin};
use std::time::{Duration, SystemTime};

use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_LENGTH, DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
};
use reqwest::{Method, RequestBuilder, Response};
use serde::de::Error as _;
use tokio::time::Sleep;

use crate::model::{Answer, Fault, Head, Identifier, Reply, User, UserId, error_of};

use super::request::Urls;
use super::{
    Api, ApiAddress, ClientConfig, ClientError, CreatedAt, Error, PageRequest, SecretKey,
    Untrusted, fault, retry_after, tls,
};

/// A connection to one API with one key. Clones share their connections.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    urls: Urls,
    address: ApiAddress,
    key: SecretKey,
    timeout: Duration,
    connect_timeout: Duration,
    max_answer: usize,
    max_list: usize,
}

/// The longest body that is read when the status alone decides.
const MAX_ERROR_BODY: usize = 64 << 10;
/// The longest `CF-Ray` that is kept; they have 20 characters.
const MAX_RAY: usize = 100;

impl Client {
    /// Makes a client. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// When certificates can't be read, or a header can't be sent.
    pub fn new(config: ClientConfig) -> Result<Self, ClientError> {
        tls::install_provider();
        let no_trust = |why: reqwest::Error| ClientError::NoTrust(fault::reason(&why));
        Ok(Self {
            http: builder(&config)?.build().map_err(no_trust)?,
            urls: Urls::new(&config.address),
            address: config.address,
            key: config.key,
            timeout: config.timeout,
            connect_timeout: config.connect_timeout,
            max_answer: config.max_answer,
            max_list: config.max_list,
        })
    }

    /// Unlocks one user, in one attempt: the counterpart of `clerkClient.users.unlockUser(userId)`
    /// in Clerk's JavaScript SDK. A user who is not locked is answered likewise.
    ///
    /// ```no_run
    /// # use bulk_unlock::clerk::{Client, Error};
    /// # use bulk_unlock::model::UserId;
    /// # async fn example(client: &Client, id: &UserId) -> Result<(), Error> {
    /// match client.unlock_user(id).await {
    ///     Ok(user) => println!("{}: {:?}", user.id, user.primary_email_address()),
    ///     Err(Error::Api { status: 404, .. }) => println!("there is no such user"),
    ///     Err(why) => return Err(why),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// When the API answers another status than 200, or no whole answer comes, or the answer is
    /// not this user's object.
    pub async fn unlock_user(&self, user: &UserId) -> Result<User, Error> {
        let answer = match self.unlock(user).await {
            Reply::Answer(answer) => answer,
            Reply::Fault(fault) | Reply::Broken(_, fault) => return Err(fault.into()),
        };
        if answer.status != 200 {
            let mut error = error_of(&answer.body).unwrap_or_default();
            error.trace_id = error.trace_id.or(answer.ray);
            return Err(Error::Api { status: answer.status, error });
        }
        let json = std::str::from_utf8(&answer.body).map_err(serde_json::Error::custom);
        let unlocked = json.and_then(User::from_json).map_err(Untrusted::NoUser)?;
        if unlocked.id != user.as_str() {
            return Err(Untrusted::AnotherUser.into());
        }
        Ok(unlocked)
    }

    /// The one way out and the one way in: one request, and whatever comes of it.
    async fn attempt(&self, method: Method, url: String, max_body: usize) -> Reply {
        let mut time_is_up = pin!(tokio::time::sleep(self.timeout));
        let sent = tokio::select! {
            biased;
            sent = self.request(method, url).send() => sent,
            () = &mut time_is_up => return Reply::Fault(Fault::Timeout(self.timeout)),
        };
        match sent {
            Ok(response) => self.receive(response, max_body, time_is_up).await,
            Err(why) => Reply::Fault(fault::of_sending(&why.without_url(), self.connect_timeout)),
        }
    }

    fn request(&self, method: Method, url: String) -> RequestBuilder {
        let is_post = method == Method::POST;
        let request = self.http.request(method, url);
        // Some proxies refuse a POST that does not say that it has no body.
        if is_post { request.header(CONTENT_LENGTH, 0) } else { request }
    }

    async fn receive(
        &self,
        mut response: Response,
        max_body: usize,
        time_is_up: Pin<&mut Sleep>,
    ) -> Reply {
        let mut answer = head_of(&response);
        let is_error = !response.status().is_success();
        let max_body = if is_error { max_body.min(MAX_ERROR_BODY) } else { max_body };
        let read = tokio::select! {
            biased;
            read = read_body(&mut response, &mut answer.body, max_body) => read,
            () = time_is_up => Err(Fault::Timeout(self.timeout)),
        };
        let answer = self.without_key(answer);
        match read {
            Err(fault) if !is_told_by_status(answer.status, &fault) => {
                Reply::Broken(Head { status: answer.status, ray: answer.ray }, fault)
            }
            Ok(()) | Err(_) => Reply::Answer(answer),
        }
    }

    /// What a server repeats of its request would be written to files and screens.
    fn without_key(&self, mut answer: Answer) -> Answer {
        let body = str::from_utf8(&answer.body).ok().and_then(|body| self.key.hidden_in(body));
        if let Some(body) = body {
            answer.body = body.into_bytes();
        }
        let ray = answer.ray.as_deref().and_then(|ray| self.key.hidden_in(ray));
        answer.ray = ray.or(answer.ray);
        answer
    }
}

impl Api for Client {
    async fn unlock(&self, user: &UserId) -> Reply {
        self.attempt(Method::POST, self.urls.unlock(user), self.max_answer).await
    }

    async fn look_up(&self, identifiers: &[Identifier]) -> Reply {
        self.attempt(Method::GET, self.urls.look_up(identifiers), self.max_list).await
    }

    async fn page(&self, page: &PageRequest) -> Reply {
        self.attempt(Method::GET, self.urls.page(page), self.max_list).await
    }

    async fn count(&self, created_at: CreatedAt) -> Reply {
        self.attempt(Method::GET, self.urls.count(created_at), self.max_answer).await
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("address", &self.address.as_str())
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

fn builder(config: &ClientConfig) -> Result<reqwest::ClientBuilder, ClientError> {
    let builder = reqwest::Client::builder()
        .default_headers(headers(config)?)
        .user_agent(concat!("bulk-unlock/", env!("CARGO_PKG_VERSION")))
        // The key goes nowhere else, and a redirect is an outcome.
        .redirect(reqwest::redirect::Policy::none())
        // One attempt is one request, or the pace would not be kept.
        .retry(reqwest::retry::never())
        .referer(false)
        .connect_timeout(config.connect_timeout)
        .pool_max_idle_per_host(config.n_idle_connections)
        .tcp_nodelay(true)
        // A connection that died in silence would take every request on it to the timeout.
        .http2_keep_alive_interval(Duration::from_secs(15))
        .http2_keep_alive_timeout(Duration::from_secs(10));
    // No proxy could reach this machine's own loopback.
    let builder = if config.address.is_loopback() { builder.no_proxy() } else { builder };
    tls::trust(builder, config)
}

fn headers(config: &ClientConfig) -> Result<HeaderMap, ClientError> {
    let key = config.key.to_header().map_err(|_| ClientError::Header("the secret key"))?;
    let version = HeaderValue::try_from(&config.api_version)
        .map_err(|_| ClientError::Header("the API version"))?;
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, key);
    headers.insert("clerk-api-version", version);
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    Ok(headers)
}

fn head_of(response: &Response) -> Answer {
    let header = |name: HeaderName| response.headers().get(name).and_then(|it| it.to_str().ok());
    let retry_after = header(RETRY_AFTER).and_then(|value| {
        // A date is by the server's own clock, so that is asked first.
        let now = header(DATE).and_then(|it| httpdate::parse_http_date(it).ok());
        retry_after::parse(value, now.unwrap_or_else(SystemTime::now))
    });
    let ray = header(HeaderName::from_static("cf-ray"));
    Answer {
        status: response.status().as_u16(),
        retry_after,
        ray: ray.map(|it| it.chars().take(MAX_RAY).collect()),
        body: Vec::new(),
    }
}

/// Whether an answer that did not come whole says all that matters by its status: these are tried
/// again or end the run, whatever the body says. So does an error page that is only too long. Any
/// other last word is taken from a whole answer alone.
fn is_told_by_status(status: u16, fault: &Fault) -> bool {
    let is_too_long = matches!(fault, Fault::TooLarge(_)) && status >= 300;
    is_too_long || matches!(status, 401 | 408 | 425 | 429 | 500..=599)
}

/// What was read stays in `body`, whatever happens.
async fn read_body(
    response: &mut Response,
    body: &mut Vec<u8>,
    max_body: usize,
) -> Result<(), Fault> {
    let too_large = || Fault::TooLarge(max_body as u64);
    let announced = response.content_length().unwrap_or(0);
    if announced > max_body as u64 {
        return Err(too_large());
    }
    body.reserve_exact(usize::try_from(announced).unwrap_or(0));
    while let Some(chunk) = response.chunk().await.map_err(|why| fault::of_reading(&why))? {
        if body.len() + chunk.len() > max_body {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
