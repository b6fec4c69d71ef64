// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Files from the web or from this host.
//!
//! `ureq`: synchronous, fourteen crates, rustls. Redirections are followed here, so that none
//! leads from `https://` to `http://` or to a file of this host. Nothing here reads the
//! environment: proxies are handed in.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::time::Duration;

use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body, Proxy, http};

use super::url::{Address, redact};

/// How often a server may send us on.
const MOST_REDIRECTS: usize = 8;
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(20);
/// Where hosts keep the certificates that they trust: Debian, Fedora, openSUSE.
const CERTIFICATES: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
];

/// Which proxy is used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ProxyRule {
    /// The one that the environment names.
    #[default]
    System,
    /// None.
    Off,
    /// This one. Shown without its password.
    Forced(Address),
}

/// How files are fetched.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// What the environment says of proxies: `https_proxy` and its kin, with their values.
    pub proxies: Vec<(String, String)>,
    /// How long a server may say nothing.
    pub stall: Duration,
    /// Kiln's version.
    pub kiln_version: String,
    /// A file of certificates that are trusted in place of the host's.
    pub certificates: Option<PathBuf>,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            proxies: Vec::new(),
            stall: Duration::from_secs(60),
            kiln_version: env!("CARGO_PKG_VERSION").into(),
            certificates: None,
        }
    }
}

/// Why a file cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The server answered with an error.
    #[error("`{url}`: the server answered {status}{}", words(*status))]
    Status {
        /// The address.
        url: Address,
        /// The status.
        status: u16,
    },
    /// The server cannot be reached, or broke off.
    #[error("could not read `{url}`")]
    Io {
        /// The address.
        url: Address,
        /// What happened.
        source: io::Error,
    },
    /// The file is longer than it may be.
    #[error("`{url}` is longer than {most} bytes")]
    TooLong {
        /// The address.
        url: Address,
        /// The most that is read.
        most: u64,
    },
    /// The server sends us where we do not go.
    #[error("`{url}` leads to `{to}`, where kiln does not go")]
    Redirect {
        /// The address.
        url: Address,
        /// Where it leads.
        to: String,
    },
    /// The proxy's address is wrong.
    #[error("`{shown}` is no proxy's address")]
    Proxy {
        /// The address, without a password.
        shown: String,
    },
    /// The server's answer does not fit the question.
    #[error("`{url}`: the server's answer makes no sense: {what}")]
    Nonsense {
        /// The address.
        url: Address,
        /// Why.
        what: String,
    },
}

fn words(status: u16) -> &'static str {
    match status {
        401 => " (it wants a password)",
        403 => " (it is forbidden)",
        404 | 410 => " (there is no such file)",
        429 => " (too many requests)",
        500..=599 => " (it has trouble of its own)",
        _ => "",
    }
}

impl HttpError {
    /// Returns whether the same question may be answered if it is asked again.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Status { status, .. } => matches!(status, 408 | 429 | 500..=599),
            Self::Io { .. } => true,
            _ => false,
        }
    }
}

/// An answer: its body, and what its head says.
pub struct Answer {
    /// Where it came from in the end.
    pub url: Address,
    /// The status: 200 or 206.
    pub status: u16,
    /// How long the body is.
    pub length: Option<u64>,
    /// The first byte, the last and the length of the whole, as `Content-Range` says.
    pub range: Option<(u64, u64, u64)>,
    /// The server's mark of this version of the file.
    pub etag: Option<String>,
    body: Body,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer").field("url", &self.url).field("status", &self.status).finish()
    }
}

impl Answer {
    /// Returns the body, to be read.
    pub fn into_reader(self) -> impl Read + Send {
        self.body.into_with_config().limit(u64::MAX).reader()
    }
}

/// Fetches files.
#[derive(Clone, Debug)]
pub struct Http {
    options: HttpOptions,
    certificates: RootCerts,
}

/// Fetches files by one proxy rule, over connections that are kept.
#[derive(Clone, Debug)]
pub struct Client<'a> {
    http: &'a Http,
    rule: ProxyRule,
    agents: [Agent; 2],
}

impl Http {
    /// Makes a fetcher. The host's trusted certificates are read now.
    #[must_use]
    pub fn new(options: HttpOptions) -> Self {
        let certificates = certificates(&options);
        Self { options, certificates }
    }

    /// Returns a client that uses proxies by `rule`.
    ///
    /// # Errors
    ///
    /// [`HttpError::Proxy`].
    pub fn client(&self, rule: &ProxyRule) -> Result<Client<'_>, HttpError> {
        let proxy = |scheme: &str| match rule {
            ProxyRule::Off => Ok(None),
            ProxyRule::Forced(url) => proxy(url.secret()).map(Some),
            ProxyRule::System => self.named_proxy(scheme).map(|p| proxy(&p)).transpose(),
        };
        let agents = [self.agent(proxy("https")?), self.agent(proxy("http")?)];
        Ok(Client { http: self, rule: rule.clone(), agents })
    }

    fn variable(&self, name: &str) -> Option<&str> {
        let upper = name.to_ascii_uppercase();
        // `HTTP_PROXY` in capitals could be a header field of a CGI program's client.
        let known = |key: &str| key == name || (key == upper && name != "http_proxy");
        let found = self.options.proxies.iter().find(|(key, _)| known(key));
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    fn named_proxy(&self, scheme: &str) -> Option<String> {
        let own = self.variable(&format!("{scheme}_proxy"));
        own.or_else(|| self.variable("all_proxy")).map(str::to_owned)
    }

    /// Returns whether `no_proxy` names the host: itself, a domain above it, or `*`.
    fn is_direct(&self, host: &str) -> bool {
        let Some(list) = self.variable("no_proxy") else { return false };
        list.split(',').map(|word| word.trim().trim_start_matches('.')).any(|word| {
            let below = || host.strip_suffix(word).is_some_and(|rest| rest.ends_with('.'));
            word == "*" || (!word.is_empty() && (word.eq_ignore_ascii_case(host) || below()))
        })
    }

    fn agent(&self, proxy: Option<Proxy>) -> Agent {
        let tls = TlsConfig::builder().root_certs(self.certificates.clone()).build();
        Agent::config_builder()
            .proxy(proxy)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT))
            .timeout_per_read(Some(self.options.stall))
            .timeout_per_write(Some(self.options.stall))
            .user_agent(format!("kiln/{}", self.options.kiln_version))
            .accept_encoding("identity")
            .tls_config(tls)
            .build()
            .into()
    }
}

fn proxy(text: &str) -> Result<Proxy, HttpError> {
    Proxy::new(text).map_err(|_| HttpError::Proxy { shown: redact(text) })
}

fn certificates(options: &HttpOptions) -> RootCerts {
    let named = options.certificates.iter().cloned();
    let files = named.chain(CERTIFICATES.iter().map(PathBuf::from));
    for file in files {
        let Ok(bytes) = std::fs::read(file) else { continue };
        let found: Vec<Certificate<'static>> = parse_pem(&bytes)
            .filter_map(|item| match item {
                Ok(PemItem::Certificate(certificate)) => Some(certificate),
                _ => None,
            })
            .collect();
        if !found.is_empty() {
            return RootCerts::new_with_certs(&found);
        }
    }
    RootCerts::WebPki
}

impl Client<'_> {
    /// Reads a small file whole.
    ///
    /// # Errors
    ///
    /// [`HttpError`]; [`HttpError::TooLong`] if it has more than `most` bytes.
    pub fn read(&self, url: &Address, most: u64) -> Result<Vec<u8>, HttpError> {
        let fail = |source| HttpError::Io { url: url.clone(), source };
        let mut bytes = Vec::new();
        if let Some(path) = url.path() {
            File::open(path)
                .and_then(|f| f.take(most + 1).read_to_end(&mut bytes))
                .map_err(fail)?;
        } else {
            let reader = self.get(url, None)?.into_reader();
            reader.take(most + 1).read_to_end(&mut bytes).map_err(fail)?;
        }
        if u64::try_from(bytes.len()).is_ok_and(|length| length > most) {
            return Err(HttpError::TooLong { url: url.clone(), most });
        }
        Ok(bytes)
    }

    /// Asks for a file, or for the bytes from the first to the last of `range`.
    ///
    /// # Errors
    ///
    /// [`HttpError`], for each status but 200 and 206, too.
    pub fn get(&self, url: &Address, range: Option<(u64, u64)>) -> Result<Answer, HttpError> {
        let mut at = url.clone();
        for _ in 0..MOST_REDIRECTS {
            let response = self.ask(&at, range)?;
            let status = response.status().as_u16();
            let field = |name| response.headers().get(name).and_then(|v| v.to_str().ok());
            match status {
                200 | 206 => return answer(at, response),
                301 | 302 | 303 | 307 | 308 => {
                    let to = field(http::header::LOCATION).unwrap_or_default();
                    let no = || HttpError::Redirect { url: at.clone(), to: redact(to) };
                    let next = at.redirect(to).ok_or_else(no)?;
                    if at.is_https() && !next.is_https() {
                        return Err(no());
                    }
                    at = next;
                }
                status => return Err(HttpError::Status { url: at, status }),
            }
        }
        let to = "one redirection after the other".to_owned();
        Err(HttpError::Redirect { url: url.clone(), to })
    }

    /// Stores a file at an address, by PUT.
    ///
    /// # Errors
    ///
    /// [`HttpError`], for each status but 200, 201 and 204, too.
    pub fn put(&self, url: &Address, file: File) -> Result<(), HttpError> {
        let agent = &self.agents[usize::from(!url.is_https())];
        // One that refuses says so before it is sent a file that it would not read.
        let request = agent.put(url.secret()).header("Expect", "100-continue");
        let sent = if self.goes_direct(url) {
            request.config().proxy(None).build().send(file)
        } else {
            request.send(file)
        };
        let sent =
            sent.map_err(|error| HttpError::Io { url: url.clone(), source: error.into_io() });
        match sent?.status().as_u16() {
            200 | 201 | 204 => Ok(()),
            status => Err(HttpError::Status { url: url.clone(), status }),
        }
    }

    fn goes_direct(&self, url: &Address) -> bool {
        self.rule == ProxyRule::System && url.host().is_some_and(|host| self.http.is_direct(host))
    }

    fn ask(
        &self,
        url: &Address,
        range: Option<(u64, u64)>,
    ) -> Result<http::Response<Body>, HttpError> {
        let agent = &self.agents[usize::from(!url.is_https())];
        let mut request = agent.get(url.secret());
        if let Some((first, last)) = range {
            request = request.header("Range", format!("bytes={first}-{last}"));
        }
        let sent = if self.goes_direct(url) {
            request.config().proxy(None).build().call()
        } else {
            request.call()
        };
        sent.map_err(|error| HttpError::Io { url: url.clone(), source: error.into_io() })
    }
}

fn answer(url: Address, response: http::Response<Body>) -> Result<Answer, HttpError> {
    let status = response.status().as_u16();
    let field = |name| {
        response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
    };
    let range = field(http::header::CONTENT_RANGE).and_then(|text| content_range(&text));
    if status == 206 && range.is_none() {
        let what = "a part of the file that it does not name".to_owned();
        return Err(HttpError::Nonsense { url, what });
    }
    let length = field(http::header::CONTENT_LENGTH).and_then(|text| text.parse().ok());
    let etag = field(http::header::ETAG);
    Ok(Answer { url, status, length, range, etag, body: response.into_body() })
}

/// Reads `bytes 0-99/1000`.
fn content_range(text: &str) -> Option<(u64, u64, u64)> {
    let (range, whole) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let all = (first.parse().ok()?, last.parse().ok()?, whole.parse().ok()?);
    (all.0 <= all.1 && all.1 < all.2).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_testkit::http::{Lie, Server};

    fn http() -> Http {
        Http::new(HttpOptions { stall: Duration::from_millis(300), ..HttpOptions::default() })
    }

    fn served() -> (tempfile::TempDir, Server) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a"), "0123456789").unwrap();
        let server = Server::start(folder.path());
        (folder, server)
    }

    fn read(server: &Server, most: u64) -> Result<Vec<u8>, HttpError> {
        let url = Address::parse(&server.url("a")).unwrap();
        http().client(&ProxyRule::Off).unwrap().read(&url, most)
    }

    #[test]
    fn files_are_read_to_a_limit() {
        let (folder, server) = served();
        assert_eq!(read(&server, 10).unwrap(), b"0123456789");
        assert!(matches!(read(&server, 9), Err(HttpError::TooLong { .. })));
        let local = Address::from(folder.path().join("a"));
        let client = http();
        let client = client.client(&ProxyRule::System).unwrap();
        assert_eq!(client.read(&local, 10).unwrap(), b"0123456789");
        assert!(matches!(client.read(&local, 9), Err(HttpError::TooLong { .. })));
    }

    #[test]
    fn what_goes_wrong_is_told_apart() {
        let (_folder, server) = served();
        server.lie("a", Lie::Status(503));
        let error = read(&server, 10).unwrap_err();
        assert!(error.is_passing(), "{error}");
        server.lie("a", Lie::Status(404));
        assert!(!read(&server, 10).unwrap_err().is_passing());
        for lie in [Lie::Truncate(3), Lie::Stall(3)] {
            server.lie("a", lie);
            let error = read(&server, 10).unwrap_err();
            assert!(matches!(error, HttpError::Io { .. }), "{error:?}");
        }
        for to in ["file:///etc/passwd", "ftp://x/y", ""] {
            server.lie("a", Lie::Redirect(to.into()));
            let error = read(&server, 10).unwrap_err();
            assert!(matches!(error, HttpError::Redirect { .. }), "{to}: {error:?}");
        }
        server.lie("a", Lie::Redirect("/a".into()));
        assert!(matches!(read(&server, 10), Err(HttpError::Redirect { .. })));
        server.honest();
        server.lie_times("a", Lie::Redirect("/a".into()), 1);
        assert_eq!(read(&server, 10).unwrap(), b"0123456789");
    }

    #[test]
    fn proxies_come_from_the_rule_and_the_environment() {
        let (_folder, server) = served();
        let options = HttpOptions {
            proxies: vec![
                ("http_proxy".into(), "http://me:hunter2@127.0.0.1:1".into()),
                ("no_proxy".into(), "example.org, .in.example".into()),
            ],
            ..HttpOptions::default()
        };
        let url = Address::parse(&server.url("a")).unwrap();
        let proxied = Http::new(options.clone());
        let error = proxied.client(&ProxyRule::System).unwrap().read(&url, 10).unwrap_err();
        assert!(matches!(error, HttpError::Io { .. }), "{error:?}");
        assert!(proxied.client(&ProxyRule::Off).unwrap().read(&url, 10).is_ok());
        assert!(proxied.is_direct("a.in.example") && proxied.is_direct("example.org"));
        assert!(!proxied.is_direct("notexample.org"));
        let mut direct = options;
        direct.proxies[1].1 = "127.0.0.1".into();
        assert!(Http::new(direct).client(&ProxyRule::System).unwrap().read(&url, 10).is_ok());
        // The proxy is asked for the whole address.
        let through = Http::new(HttpOptions::default());
        let rule = ProxyRule::Forced(Address::parse(&server.url("")).unwrap());
        let far = Address::parse("http://far.example/a").unwrap();
        assert!(through.client(&rule).unwrap().read(&far, 10).is_err());
        assert!(server.requests().iter().any(|r| r.method == "CONNECT" || r.path.contains("far")));
    }

    #[test]
    fn ranges_are_read_from_the_head() {
        assert_eq!(content_range("bytes 0-9/10"), Some((0, 9, 10)));
        for bad in ["bytes 0-10/10", "bytes 5-4/10", "bytes */10", "0-9/10", "bytes 0-9/*"] {
            assert_eq!(content_range(bad), None, "{bad}");
        }
    }
}
