// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A server of static files on the loopback interface, which knows `Range` and can be told to lie.
//!
//! One thread a connection, one request a connection: enough for tests, and nothing to go wrong.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// The most of a request's head that is read.
const HEAD_MOST: u64 = 64 << 10;
/// How long a stalled answer sleeps between two looks whether the server ends.
const TICK: Duration = Duration::from_millis(10);

/// How a server misbehaves for a path.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lie {
    /// Answers with this status and a page of HTML.
    Status(u16),
    /// Answers with the status 302 and this place.
    Redirect(String),
    /// Announces the whole, and closes after so many bytes of it.
    Truncate(u64),
    /// Sends so many bytes, then nothing more, and keeps the connection.
    Stall(u64),
    /// Behaves as if it never heard of `Range`.
    NoRange,
    /// Answers a range with the bytes at the file's beginning.
    WrongRange,
    /// Changes the byte at this offset of the file.
    Flip(u64),
    /// Sends no more than so many bytes a second on each connection.
    Slow(u64),
}

/// A request that a server got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// `GET`.
    pub method: String,
    /// The path with its leading `/`, as it was sent.
    pub path: String,
    /// The header fields, their names in lower case.
    pub fields: Vec<(String, String)>,
}

impl Request {
    /// Returns a header field by its name in lower case.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Returns the bytes that `Range` asks for: the first, and the last if it is named.
    #[must_use]
    pub fn range(&self) -> Option<(u64, Option<u64>)> {
        let (first, last) = self.field("range")?.strip_prefix("bytes=")?.split_once('-')?;
        Some((first.parse().ok()?, last.parse().ok()))
    }
}

#[derive(Debug, Default)]
struct State {
    /// Path, lie, and for how many more requests; `None` for all.
    lies: Vec<(String, Lie, Option<u32>)>,
    requests: Vec<Request>,
    put: bool,
}

#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    state: Mutex<State>,
    ended: AtomicBool,
    /// How many connections are being answered.
    open: AtomicUsize,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A server of a folder's files. Dropped, it ends.
#[derive(Debug)]
pub struct Server {
    port: u16,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts a server of `folder` on a free port of 127.0.0.1.
    ///
    /// # Panics
    ///
    /// If it cannot be started.
    #[must_use]
    pub fn start(folder: &Path) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port of 127.0.0.1 is free");
        let port = listener.local_addr().expect("the listener is bound").port();
        let shared = Arc::new(Shared {
            folder: folder.to_owned(),
            state: Mutex::default(),
            ended: AtomicBool::new(false),
            open: AtomicUsize::new(0),
        });
        let of_thread = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if of_thread.ended.load(Ordering::SeqCst) {
                    return;
                }
                let shared = Arc::clone(&of_thread);
                shared.open.fetch_add(1, Ordering::SeqCst);
                thread::spawn(move || {
                    // A client that hangs up is the client's affair.
                    stream.and_then(|stream| answer(stream, &shared)).ok();
                    shared.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { port, shared, thread: Some(thread) }
    }

    /// Returns the address of a file: `server.url("index.asc")`.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }

    /// Makes the server lie to every request for `path` from now on.
    pub fn lie(&self, path: &str, lie: Lie) {
        self.shared.state().lies.push((format!("/{path}"), lie, None));
    }

    /// Makes the server lie to the next `times` requests for `path`.
    pub fn lie_times(&self, path: &str, lie: Lie, times: u32) {
        self.shared.state().lies.push((format!("/{path}"), lie, Some(times)));
    }

    /// Makes the server honest again.
    pub fn honest(&self) {
        self.shared.state().lies.clear();
    }

    /// Lets clients store files by `PUT`.
    pub fn allow_put(&self) {
        self.shared.state().put = true;
    }

    /// Forgets the requests so far, those included that a killed client has sent and that are not
    /// read yet.
    ///
    /// # Panics
    ///
    /// If a connection stays open for 30 seconds.
    pub fn forget(&self) {
        // Connections are taken in their order: behind this one none is left.
        if let Ok(mut last) = TcpStream::connect(("127.0.0.1", self.port)) {
            last.write_all(b"HEAD / HTTP/1.1\r\n\r\n").ok();
            last.read_to_end(&mut Vec::new()).ok();
        }
        let began = Instant::now();
        while self.shared.open.load(Ordering::SeqCst) > 0 {
            assert!(began.elapsed() < Duration::from_secs(30), "a client does not hang up");
            thread::park_timeout(TICK);
        }
        drop(self.requests());
    }

    /// Returns the requests so far, and forgets them.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        std::mem::take(&mut self.shared.state().requests)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        // The listener waits in accept(2): a last connection lets it see that this is the end.
        TcpStream::connect(("127.0.0.1", self.port)).ok();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

fn answer(stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let Some(request) = read_head(&mut reader)? else { return Ok(()) };
    let lie = {
        let mut state = shared.state();
        state.requests.push(request.clone());
        take_lie(&mut state, &request.path)
    };
    let mut out = stream;
    match (&lie, request.method.as_str()) {
        (Some(Lie::Status(status)), _) => page(&mut out, *status, ""),
        (Some(Lie::Redirect(to)), _) => page(&mut out, 302, &format!("Location: {to}\r\n")),
        (_, "GET" | "HEAD") => send(&mut out, shared, &request, lie.as_ref()),
        (_, "PUT") if shared.state().put => store(&mut out, shared, &request, &mut reader),
        _ => page(&mut out, 405, ""),
    }
}

fn take_lie(state: &mut State, path: &str) -> Option<Lie> {
    let at = state.lies.iter().rposition(|(of, _, left)| of == path && *left != Some(0))?;
    let (_, lie, left) = state.lies.get_mut(at)?;
    if let Some(left) = left {
        *left -= 1;
    }
    Some(lie.clone())
}

fn read_head(reader: &mut impl BufRead) -> io::Result<Option<Request>> {
    let mut lines = reader.take(HEAD_MOST).lines();
    let Some(first) = lines.next().transpose()? else { return Ok(None) };
    let mut words = first.split(' ').map(str::to_owned);
    let (Some(method), Some(path)) = (words.next(), words.next()) else { return Ok(None) };
    let mut fields = Vec::new();
    for line in lines {
        let line = line?;
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    Ok(Some(Request { method, path, fields }))
}

fn page(out: &mut impl Write, status: u16, fields: &str) -> io::Result<()> {
    let text = format!("<html><body>{status}</body></html>\n");
    let length = text.len();
    write!(
        out,
        "HTTP/1.1 {status} Test\r\nContent-Type: text/html\r\nContent-Length: {length}\r\n\
         {fields}Connection: close\r\n\r\n{text}"
    )
}

/// Finds the file of a request; `None` for one outside the folder.
fn file_of(shared: &Shared, path: &str) -> Option<PathBuf> {
    let path = path.split('?').next()?.trim_start_matches('/');
    let inside = path.split('/').all(|part| part != ".." && !part.is_empty());
    inside.then(|| shared.folder.join(path))
}

fn store(
    out: &mut impl Write,
    shared: &Shared,
    request: &Request,
    body: &mut impl Read,
) -> io::Result<()> {
    let Some(path) = file_of(shared, &request.path) else { return page(out, 403, "") };
    let length = request.field("content-length").and_then(|n| n.parse().ok()).unwrap_or(0);
    if let Some(above) = path.parent() {
        fs::create_dir_all(above)?;
    }
    if request.field("expect").is_some() {
        write!(out, "HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    io::copy(&mut body.take(length), &mut File::create(path)?)?;
    page(out, 201, "")
}

fn send(
    out: &mut impl Write,
    shared: &Shared,
    request: &Request,
    lie: Option<&Lie>,
) -> io::Result<()> {
    let path = file_of(shared, &request.path).filter(|path| path.is_file());
    let Some(path) = path else { return page(out, 404, "") };
    let mut file = File::open(path)?;
    let meta = file.metadata()?;
    let whole = meta.len();
    let etag = format!("\"{}-{}.{}\"", whole, meta.mtime(), meta.mtime_nsec());
    let range = request.range().filter(|_| lie != Some(&Lie::NoRange));
    let fresh = request.field("if-range").is_none_or(|known| known == etag);
    let (status, first, end) = match range.filter(|_| fresh) {
        None => (200, 0, whole),
        Some((first, _)) if first >= whole => {
            return page(out, 416, &format!("Content-Range: bytes */{whole}\r\n"));
        }
        Some((first, last)) => (206, first, last.map_or(whole, |last| whole.min(last + 1))),
    };
    let length = end.saturating_sub(first);
    write!(out, "HTTP/1.1 {status} Test\r\nContent-Length: {length}\r\nETag: {etag}\r\n")?;
    if lie != Some(&Lie::NoRange) {
        write!(out, "Accept-Ranges: bytes\r\n")?;
    }
    if status == 206 {
        write!(out, "Content-Range: bytes {first}-{}/{whole}\r\n", end - 1)?;
    }
    write!(out, "Connection: close\r\n\r\n")?;
    if request.method == "HEAD" {
        return Ok(());
    }
    let from = if lie == Some(&Lie::WrongRange) { 0 } else { first };
    file.seek(SeekFrom::Start(from))?;
    body(out, &mut file, (from, length), shared, lie)
}

/// Sends `length` bytes of a file that stands at `first`, as the lie says.
fn body(
    out: &mut impl Write,
    file: &mut File,
    (first, length): (u64, u64),
    shared: &Shared,
    lie: Option<&Lie>,
) -> io::Result<()> {
    let most = match lie {
        Some(Lie::Truncate(most) | Lie::Stall(most)) => length.min(*most),
        _ => length,
    };
    let step = match lie {
        Some(Lie::Slow(rate)) => usize::try_from(rate / 50).unwrap_or(1).max(1),
        _ => 64 << 10,
    };
    let mut buf = vec![0; step];
    let mut done = 0;
    while done < most && !shared.ended.load(Ordering::SeqCst) {
        let want = usize::try_from(most - done).unwrap_or(step).min(step);
        let n = file.read(&mut buf[..want])?;
        if n == 0 {
            break;
        }
        if let Some(Lie::Flip(at)) = lie
            && let Some(inside) = at.checked_sub(first + done)
            && let Some(byte) = usize::try_from(inside).ok().and_then(|i| buf[..n].get_mut(i))
        {
            *byte ^= 1;
        }
        out.write_all(&buf[..n])?;
        done += u64::try_from(n).expect("a buffer's length fits");
        if matches!(lie, Some(Lie::Slow(_))) {
            thread::park_timeout(Duration::from_millis(20));
        }
    }
    out.flush()?;
    while matches!(lie, Some(Lie::Stall(_))) && !shared.ended.load(Ordering::SeqCst) {
        thread::park_timeout(TICK);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(server: &Server, head: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn files_ranges_and_lies_are_served() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), "0123456789").unwrap();
        let server = Server::start(folder.path());
        let whole = ask(&server, "GET /a HTTP/1.1\r\n\r\n");
        assert!(whole.starts_with("HTTP/1.1 200 ") && whole.ends_with("\r\n\r\n0123456789"));
        let part = ask(&server, "GET /a HTTP/1.1\r\nRange: bytes=2-4\r\n\r\n");
        assert!(part.contains("Content-Range: bytes 2-4/10\r\n"), "{part}");
        assert!(part.ends_with("\r\n\r\n234"), "{part}");
        server.lie_times("a", Lie::Flip(3), 1);
        let part = ask(&server, "GET /a HTTP/1.1\r\nRange: bytes=2-4\r\n\r\n");
        assert!(part.ends_with("\r\n\r\n224"), "{part}");
        server.lie("a", Lie::Truncate(1));
        let part = ask(&server, "GET /a HTTP/1.1\r\n\r\n");
        assert!(part.contains("Content-Length: 10\r\n") && part.ends_with("\r\n\r\n0"), "{part}");
        assert!(ask(&server, "GET /../a HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404 "));
        let seen = server.requests();
        assert_eq!(seen[1].range(), Some((2, Some(4))));
        assert_eq!(seen.len(), 5);
    }

    #[test]
    fn files_are_stored_when_that_is_allowed() {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(folder.path());
        let put = "PUT /x/y HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc";
        assert!(ask(&server, put).starts_with("HTTP/1.1 405 "));
        server.allow_put();
        assert!(ask(&server, put).starts_with("HTTP/1.1 201 "));
        assert_eq!(fs::read_to_string(folder.path().join("x/y")).unwrap(), "abc");
    }
}
