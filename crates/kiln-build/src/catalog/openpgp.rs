// SPDX-License-Identifier: Apache-2.0 OR MIT
//! OpenPGP signatures: checked by `gpgv`, made by `gpg`.
//!
//! `gpgv` because it is GnuPG's small program for just this: it has no trust database, asks
//! nothing, and knows only the keys that it is given. Its answer is read from its status lines,
//! never from its messages. A signature counts if all of this holds:
//!
//! - the key is one of those that the user named, by file or by fingerprint;
//! - neither key nor signature has expired, and the key is not revoked;
//! - the hash is not MD5, SHA-1 or RIPEMD-160.
//!
//! Of a clear-signed text only the signed words are handed on, and the text may hold nothing
//! beside them. Source: doc/DETAILS of GnuPG 2.2.40, RFC 4880 section 7.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kiln_host::{Cmd, CmdError, Host, Tool};

/// The most that a file of keys may have: the whole keyring of a distribution has 2 MiB.
const KEYS_MOST: u64 = 16 << 20;
/// How long a passphrase may be thought of.
const PATIENCE: Duration = Duration::from_secs(600);
const BEGIN_SIGNED: &str = "-----BEGIN PGP SIGNED MESSAGE-----";
const BEGIN_SIGNATURE: &str = "-----BEGIN PGP SIGNATURE-----";
const END_SIGNATURE: &str = "-----END PGP SIGNATURE-----";

/// A key's fingerprint: 40 hexadecimal digits in capitals (64 of a key of version 6).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(String);

/// A text that is no fingerprint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no fingerprint: it has 40 hexadecimal digits; the short ids can be forged")]
pub struct FingerprintError {
    /// The text.
    pub text: String,
}

impl Fingerprint {
    /// Reads a fingerprint; blanks, colons and `0x` are passed over.
    ///
    /// # Errors
    ///
    /// [`FingerprintError`], for a short key id, too.
    pub fn parse(text: &str) -> Result<Self, FingerprintError> {
        let digits: String = text
            .trim()
            .trim_start_matches("0x")
            .chars()
            .filter(|c| !c.is_whitespace() && *c != ':')
            .collect();
        let good = matches!(digits.len(), 40 | 64) && digits.bytes().all(|b| b.is_ascii_hexdigit());
        if good {
            Ok(Self(digits.to_ascii_uppercase()))
        } else {
            Err(FingerprintError { text: text.escape_debug().to_string() })
        }
    }

    /// Returns the digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which keys are trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keys {
    /// Those in a file, armoured or not.
    File(PathBuf),
    /// Those in a file that comes with Kiln.
    BuiltIn(&'static str),
    /// The one with the fingerprint, in the user's own keyring.
    Keyring,
}

/// Whose signature counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signers {
    /// Where the keys are.
    pub keys: Keys,
    /// Which of the keys; `None` for each.
    pub fingerprint: Option<Fingerprint>,
}

/// Why a signature does not count.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// There is none.
    #[error("`{what}` is not signed")]
    Unsigned {
        /// What was checked.
        what: String,
    },
    /// It is not over these bytes, or is no signature at all.
    #[error("the signature of `{what}` is wrong")]
    Bad {
        /// What was checked.
        what: String,
    },
    /// It is of a key that is not trusted.
    #[error("`{what}` is signed with the key `{found}`, which is not trusted for it")]
    Stranger {
        /// What was checked.
        what: String,
        /// The key's id or fingerprint.
        found: String,
    },
    /// The key or the signature has expired, or the key is revoked, or the hash is weak.
    #[error("the signature of `{what}` does not count: {why}")]
    Stale {
        /// What was checked.
        what: String,
        /// Why.
        why: &'static str,
    },
    /// There is more than the signed words.
    #[error("`{what}` has words that nobody signed: {why}")]
    Frame {
        /// What was checked.
        what: String,
        /// What is there.
        why: &'static str,
    },
    /// The keys cannot be read.
    #[error("could not read the keys in `{}`", path.display())]
    Keys {
        /// Their file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The user's keyring has no such key.
    #[error("your GnuPG keyring has no key `{fingerprint}`")]
    NoKey {
        /// The key.
        fingerprint: Fingerprint,
    },
    /// GnuPG cannot be run.
    #[error("could not use GnuPG")]
    Tool(#[source] CmdError),
    /// A file for GnuPG cannot be written.
    #[error("could not hand `{what}` to GnuPG")]
    Io {
        /// What was checked.
        what: String,
        /// Why.
        source: io::Error,
    },
}

impl SignatureError {
    /// Returns whether this is about what is signed, and not about the host.
    #[must_use]
    pub fn is_verdict(&self) -> bool {
        matches!(
            self,
            Self::Unsigned { .. }
                | Self::Bad { .. }
                | Self::Stranger { .. }
                | Self::Stale { .. }
                | Self::Frame { .. }
        )
    }

    /// Returns what the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unsigned { .. } => {
                Some("`kiln catalog add --unsigned` takes a catalog without signatures".into())
            }
            Self::Bad { .. } | Self::Frame { .. } => {
                Some("somebody may have changed it on the way, or on the server".into())
            }
            Self::Stranger { .. } => Some(
                "if its publisher has a new key, see that it is theirs, and add the catalog again"
                    .into(),
            ),
            Self::NoKey { fingerprint } => {
                Some(format!("`gpg --recv-keys {fingerprint}` fetches it"))
            }
            _ => None,
        }
    }
}

/// Checks and makes signatures.
#[derive(Clone, Copy, Debug)]
pub struct OpenPgp<'a> {
    /// Where `gpgv` and `gpg` run.
    pub host: &'a dyn Host,
    /// What `gpg` needs of the environment: `HOME`, `GNUPGHOME`, `GPG_TTY`.
    pub environment: &'a [(OsString, OsString)],
}

impl OpenPgp<'_> {
    /// Checks a clear-signed text; returns the signed words and the key that signed them.
    ///
    /// # Errors
    ///
    /// [`SignatureError`]. `what` names the text in it.
    pub fn verify_clear(
        &self,
        text: &[u8],
        signers: &Signers,
        what: &str,
    ) -> Result<(Vec<u8>, Fingerprint), SignatureError> {
        check_frame(text, what)?;
        let work = Work::new(what)?;
        let message = work.put("message", text)?;
        let body = work.path("body");
        let cmd = self.gpgv(&work, signers)?.arg("--output").arg(&body).arg(message);
        let signer = self.judge(cmd, signers, what)?;
        let words = fs::read(&body).map_err(|source| work.fail(source))?;
        Ok((words, signer))
    }

    /// Checks a detached signature; returns the key.
    ///
    /// # Errors
    ///
    /// [`SignatureError`]. `what` names the data in it.
    pub fn verify_detached(
        &self,
        data: &[u8],
        signature: &[u8],
        signers: &Signers,
        what: &str,
    ) -> Result<Fingerprint, SignatureError> {
        let work = Work::new(what)?;
        let signature = dearmor(signature, "SIGNATURE").unwrap_or_else(|| signature.to_vec());
        let (signature, data) = (work.put("signature", &signature)?, work.put("data", data)?);
        let cmd = self.gpgv(&work, signers)?.arg(signature).arg(data);
        self.judge(cmd, signers, what)
    }

    /// Clear-signs a text with a key of the user's, whose agent may ask for a passphrase.
    ///
    /// # Errors
    ///
    /// [`SignatureError::Tool`] and [`SignatureError::Io`].
    pub fn sign_clear(&self, text: &[u8], key: &str) -> Result<Vec<u8>, SignatureError> {
        let cmd = self.gpg().args(["--yes", "--armor", "--local-user", key, "--clearsign"]);
        let cmd = cmd.deadline(Some(PATIENCE));
        let out = self.host.run_with(&cmd, text).map_err(SignatureError::Tool)?;
        Ok(out.stdout)
    }

    /// Makes a detached signature of `data`, armoured, with a key of the user's, whose agent may ask
    /// for a passphrase.
    ///
    /// # Errors
    ///
    /// [`SignatureError::Tool`].
    pub fn sign_detached(&self, data: &[u8], key: &str) -> Result<Vec<u8>, SignatureError> {
        let cmd = self.gpg().args(["--yes", "--armor", "--local-user", key, "--detach-sign"]);
        let cmd = cmd.deadline(Some(PATIENCE));
        let out = self.host.run_with(&cmd, data).map_err(SignatureError::Tool)?;
        Ok(out.stdout)
    }

    /// Returns a public key of the user's, armoured.
    ///
    /// # Errors
    ///
    /// [`SignatureError::Tool`].
    pub fn export(&self, key: &str) -> Result<Vec<u8>, SignatureError> {
        let cmd = self.gpg().args(["--armor", "--export-options", "export-minimal", "--export"]);
        let out = self.host.run(&cmd.arg("--").arg(key)).map_err(SignatureError::Tool)?;
        Ok(out.stdout)
    }

    fn gpg(&self) -> Cmd {
        let cmd = Cmd::new(Tool::Gpg).args(["--batch", "--no-auto-key-retrieve"]);
        self.environment.iter().fold(cmd, |cmd, (name, value)| cmd.env(name, value))
    }

    /// The beginning of a run of `gpgv` that knows the signers' keys and no others.
    fn gpgv(&self, work: &Work<'_>, signers: &Signers) -> Result<Cmd, SignatureError> {
        let keys = self.keys(signers)?;
        let binary = dearmor(&keys, "PUBLIC KEY BLOCK").unwrap_or(keys);
        let ring = work.put("keys.gpg", &binary)?;
        Ok(Cmd::new(Tool::Gpgv)
            .arg("--homedir")
            .arg(work.folder.path())
            .arg("--keyring")
            .arg(ring)
            .args(["--status-fd", "1"])
            // What it thinks of a signature is in the status lines.
            .also_ok(1)
            .also_ok(2))
    }

    fn keys(&self, signers: &Signers) -> Result<Vec<u8>, SignatureError> {
        match (&signers.keys, &signers.fingerprint) {
            (Keys::BuiltIn(text), _) => Ok(text.as_bytes().to_vec()),
            (Keys::File(path), _) => {
                let fail = |source| SignatureError::Keys { path: path.clone(), source };
                kiln_host::read::bounded(path, KEYS_MOST).map_err(fail)
            }
            (Keys::Keyring, Some(fingerprint)) => {
                let keys = self.export(fingerprint.as_str())?;
                if keys.is_empty() {
                    return Err(SignatureError::NoKey { fingerprint: fingerprint.clone() });
                }
                Ok(keys)
            }
            (Keys::Keyring, None) => {
                let source = io::Error::other("a fingerprint must say which key");
                Err(SignatureError::Keys { path: PathBuf::from("~/.gnupg"), source })
            }
        }
    }

    fn judge(
        &self,
        cmd: Cmd,
        signers: &Signers,
        what: &str,
    ) -> Result<Fingerprint, SignatureError> {
        let out = self.host.run(&cmd).map_err(SignatureError::Tool)?;
        judge(&String::from_utf8_lossy(&out.stdout), signers.fingerprint.as_ref(), what)
    }
}

/// A folder for what GnuPG reads and writes. Dropped, it is removed.
struct Work<'a> {
    folder: tempfile::TempDir,
    what: &'a str,
}

impl<'a> Work<'a> {
    fn new(what: &'a str) -> Result<Self, SignatureError> {
        let fail = |source| SignatureError::Io { what: what.to_owned(), source };
        let folder = tempfile::Builder::new().prefix("kiln-gpg-").tempdir().map_err(fail)?;
        Ok(Self { folder, what })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<PathBuf, SignatureError> {
        let path = self.path(name);
        fs::write(&path, bytes).map_err(|source| self.fail(source))?;
        Ok(path)
    }

    fn fail(&self, source: io::Error) -> SignatureError {
        SignatureError::Io { what: self.what.to_owned(), source }
    }
}

/// What the status lines say of one signature.
#[derive(Default)]
struct Seen {
    good: bool,
    stale: Option<&'static str>,
    /// The signing key's fingerprint and its primary key's.
    valid: Option<(String, String)>,
}

/// Judges by gpgv's status lines. One good signature of a trusted key is enough; one that is bad
/// spoils all.
fn judge(
    status: &str,
    wanted: Option<&Fingerprint>,
    what: &str,
) -> Result<Fingerprint, SignatureError> {
    let mut seen: Vec<Seen> = Vec::new();
    let mut stranger = None;
    for line in status.lines().filter_map(|line| line.strip_prefix("[GNUPG:] ")) {
        let words: Vec<&str> = line.split(' ').collect();
        let word = |n: usize| words.get(n).copied().unwrap_or_default();
        if word(0) == "NEWSIG" || seen.is_empty() {
            seen.push(Seen::default());
        }
        let Some(last) = seen.last_mut() else { continue };
        match word(0) {
            "BADSIG" => return Err(SignatureError::Bad { what: what.to_owned() }),
            "GOODSIG" => last.good = true,
            "EXPKEYSIG" | "KEYEXPIRED" => last.stale = Some("its key has expired"),
            "EXPSIG" => last.stale = Some("it has expired"),
            "REVKEYSIG" => last.stale = Some("its key is revoked"),
            "NO_PUBKEY" => stranger = Some(word(1).to_owned()),
            "ERRSIG" => stranger = stranger.or(Some(word(1).to_owned())),
            "VALIDSIG" => {
                // 1 MD5, 2 SHA-1, 3 RIPEMD-160: RFC 4880, section 9.4.
                if matches!(word(8), "1" | "2" | "3") {
                    last.stale = Some("its hash is too weak");
                }
                let primary = words.get(10).copied().unwrap_or(word(1));
                last.valid = Some((word(1).to_owned(), primary.to_owned()));
            }
            _ => {}
        }
    }
    let mut stale = None;
    for one in seen {
        let Some((key, primary)) = one.valid else { continue };
        let (Ok(key), Ok(primary)) = (Fingerprint::parse(&key), Fingerprint::parse(&primary))
        else {
            continue;
        };
        if wanted.is_some_and(|wanted| *wanted != key && *wanted != primary) {
            stranger = Some(primary.0);
        } else if let Some(why) = one.stale {
            stale = Some(why);
        } else if one.good {
            return Ok(primary);
        }
    }
    let what = what.to_owned();
    Err(match (stale, stranger) {
        (Some(why), _) => SignatureError::Stale { what, why },
        (None, Some(found)) => SignatureError::Stranger { what, found },
        (None, None) => SignatureError::Bad { what },
    })
}

/// Checks that a text is one clear-signed message and nothing else.
fn check_frame(text: &[u8], what: &str) -> Result<(), SignatureError> {
    let frame = |why| SignatureError::Frame { what: what.to_owned(), why };
    let text = String::from_utf8_lossy(text);
    let mut lines = text.lines().map(|line| line.trim_end_matches([' ', '\t', '\r']));
    if lines.next() != Some(BEGIN_SIGNED) {
        if text.contains(BEGIN_SIGNED) {
            return Err(frame("there is something before the signed message"));
        }
        return Err(SignatureError::Unsigned { what: what.to_owned() });
    }
    // Header fields, of which RFC 4880 knows one, then a blank line.
    for line in lines.by_ref() {
        if line.is_empty() {
            break;
        }
        if !line.starts_with("Hash: ") {
            return Err(frame("its head has more than the names of hashes"));
        }
    }
    for line in lines.by_ref() {
        if line == BEGIN_SIGNATURE {
            break;
        }
        // Lines that begin so are escaped in a signed text.
        if line.starts_with("-----") {
            return Err(frame("there is a second frame in it"));
        }
    }
    for line in lines.by_ref() {
        if line == END_SIGNATURE {
            break;
        }
        if line.starts_with("-----") {
            return Err(frame("there is a second frame in it"));
        }
    }
    if lines.any(|line| !line.is_empty()) {
        return Err(frame("there is something after the signature"));
    }
    Ok(())
}

/// Returns the words of a clear-signed text without checking its signature, or the text itself if
/// it is none: for catalogs that the user takes unsigned.
#[must_use]
pub fn strip(text: &[u8]) -> Vec<u8> {
    let shown = String::from_utf8_lossy(text);
    let Some(rest) = shown.strip_prefix(BEGIN_SIGNED) else { return text.to_vec() };
    let mut body = String::new();
    for line in rest.lines().skip(1).skip_while(|line| !line.trim().is_empty()).skip(1) {
        if line.trim_end() == BEGIN_SIGNATURE {
            break;
        }
        body.push_str(line.strip_prefix("- ").unwrap_or(line));
        body.push('\n');
    }
    body.into_bytes()
}

/// Returns the bytes of the armoured blocks of a kind, one after the other; `None` if there is no
/// such block.
fn dearmor(text: &[u8], kind: &str) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(text).ok()?;
    let (begin, end) = (format!("-----BEGIN PGP {kind}-----"), format!("-----END PGP {kind}-----"));
    let mut bytes = Vec::new();
    let mut found = false;
    let mut lines = text.lines().map(str::trim);
    while lines.any(|line| line == begin) {
        found = true;
        let mut digits = String::new();
        let block = lines.by_ref().take_while(|line| *line != end);
        // Header fields have a colon; the checksum at the end begins with `=`.
        for line in block.filter(|line| !line.contains(':') && !line.starts_with('=')) {
            digits.push_str(line);
        }
        bytes.extend(STANDARD.decode(digits).ok()?);
    }
    found.then_some(bytes)
}

#[cfg(test)]
#[path = "openpgp_tests.rs"]
mod tests;
