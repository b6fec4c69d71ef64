// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Every error's class, exit code and hints: the one place that knows them.
//!
//! Libraries return typed errors; the program adds contexts (`anyhow`) or raises a [`Problem`] of
//! its own. [`report`] walks the chain once and makes what is shown and what the exit code is.

use std::fmt;

use kiln_disk::check::CheckError;
use kiln_disk::convert::ConvertError;
use kiln_disk::format::FormatError;
use kiln_disk::fs::ext::TendError;
use kiln_disk::image::ImageError;
use kiln_disk::resize::ResizeError;
use kiln_disk::table::TableError;
use kiln_guest::backend::appliance::ApplianceError;
use kiln_guest::backend::kernel::KernelError;
use kiln_guest::guest::GuestError;
use kiln_guest::ops::{ArgumentError, Problem as EditProblem};
use kiln_guest::run::RunError;
use kiln_guest::seal::SealError;
use kiln_guest::transfer::TransferError;
use kiln_guest::tree::TreeError;
use kiln_host::CmdError;
use kiln_host::scratch::ScratchError;
use kiln_host::tools::guestfish::FishError;
use kiln_spec::Bytes;

use crate::build_errors::of_builds;

/// Classes of failure. The numbers are public: scripts rely on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// A check found something.
    Found = 1,
    /// The command line is wrong.
    Usage = 2,
    /// A file of the user is wrong.
    File = 3,
    /// An object is not there, is there already, or is in use.
    Object = 4,
    /// The host lacks something.
    Host = 5,
    /// A tool or libvirt failed.
    Tool = 6,
    /// The guest failed or did not answer in time.
    Guest = 7,
    /// Something could not be undone.
    Undo = 8,
    /// A bug in Kiln.
    Bug = 70,
}

impl Class {
    /// Every class, with the word that `--json` uses and the manual's line.
    pub(crate) const ALL: &'static [(Self, &'static str, &'static str)] = &[
        (Self::Found, "found", "a check found something"),
        (Self::Usage, "usage", "the command line is wrong"),
        (Self::File, "file", "a file of yours is wrong"),
        (Self::Object, "object", "an object is not there, is there already, or is in use"),
        (Self::Host, "host", "the host lacks something"),
        (Self::Tool, "tool", "a tool or libvirt failed"),
        (Self::Guest, "guest", "the guest failed or did not answer in time"),
        (Self::Undo, "undo", "something could not be undone; what is left is listed"),
        (Self::Bug, "bug", "a bug in kiln"),
    ];

    /// Returns the word that stands for the class in `--json`.
    pub(crate) fn word(self) -> &'static str {
        Self::ALL.iter().find(|(class, ..)| *class == self).map_or("bug", |(_, word, _)| word)
    }

    /// Returns the exit code.
    pub(crate) fn code(self) -> u8 {
        self as u8
    }
}

/// A failure that the program itself finds: class, words, hints, and lines to show with it.
#[derive(Debug)]
pub(crate) struct Problem {
    class: Class,
    message: String,
    hints: Vec<String>,
    excerpt: Vec<String>,
    source: Option<anyhow::Error>,
}

impl Problem {
    /// Returns a problem of `class`; `message` names the object, lower case, no full stop.
    pub(crate) fn new(class: Class, message: impl Into<String>) -> Self {
        Self {
            class,
            message: message.into(),
            hints: Vec::new(),
            excerpt: Vec::new(),
            source: None,
        }
    }

    /// Adds what the user can do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Adds what the user can do, if that is known.
    pub(crate) fn maybe_hint(mut self, hint: Option<String>) -> Self {
        self.hints.extend(hint);
        self
    }

    /// Takes away what the user could have done: what it speaks of is gone.
    pub(crate) fn without_hints(self) -> Self {
        Self { hints: Vec::new(), ..self }
    }

    /// Adds the name among `names` that `wanted` is nearest to, or else `otherwise`.
    pub(crate) fn did_you_mean<'a>(
        self,
        wanted: &str,
        names: impl IntoIterator<Item = &'a str>,
        otherwise: &str,
    ) -> Self {
        match kiln_spec::yaml::nearest(wanted, names) {
            Some(near) => self.hint(format!("did you mean `{near}`?")),
            None => self.hint(otherwise),
        }
    }

    /// Returns the problem of work that a signal broke off.
    pub(crate) fn stopped() -> Self {
        Self::new(Class::Tool, "stopped by a signal")
    }

    /// Adds lines to show, such as the console's last.
    pub(crate) fn excerpt(mut self, lines: Vec<String>) -> Self {
        self.excerpt = lines;
        self
    }

    /// Adds why it happened.
    pub(crate) fn because(mut self, source: impl Into<anyhow::Error>) -> Self {
        self.source = Some(source.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(AsRef::as_ref)
    }
}

/// Returns the problem of a file of the user's that cannot be read: class object if it is not
/// there, else class file.
pub(crate) fn unreadable(what: &str, source: std::io::Error) -> Problem {
    Problem::new(of_own_file(&source), what).because(source)
}

/// Returns the problem of a file that cannot be made: class object if its folder is not there, or
/// the file is there already, else class host.
pub(crate) fn unwritable(what: &str, source: std::io::Error) -> Problem {
    // What is made first has a name that its user does not know, which tempfile adds.
    let (class, kind, text) = (of_target(&source), source.kind(), source.to_string());
    let source = match text.split_once(" at path \"") {
        Some((text, _)) => std::io::Error::new(kind, text.to_owned()),
        None => source,
    };
    Problem::new(class, what).because(source)
}

fn of_target(source: &std::io::Error) -> Class {
    match source.kind() {
        std::io::ErrorKind::NotFound
        | std::io::ErrorKind::NotADirectory
        | std::io::ErrorKind::AlreadyExists => Class::Object,
        _ => Class::Host,
    }
}

/// The class of an image that cannot be read: it is damaged, unless the host says why.
fn of_read(source: &std::io::Error) -> Option<Class> {
    of_io(source).0.is_none().then_some(Class::File)
}

fn of_own_file(source: &std::io::Error) -> Class {
    match source.kind() {
        std::io::ErrorKind::NotFound => Class::Object,
        _ => Class::File,
    }
}

/// What is shown of a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    /// Its class.
    pub(crate) class: Class,
    /// The exit code: the class's, or 128 + n after signal n.
    pub(crate) code: u8,
    /// What could not be done, then why, outermost first.
    pub(crate) chain: Vec<String>,
    /// What the user can do.
    pub(crate) hints: Vec<String>,
    /// Lines of a log or a console.
    pub(crate) excerpt: Vec<String>,
}

impl Report {
    /// Returns the report as `--json` shows it.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "class": self.class.word(),
            "code": self.code,
            "chain": self.chain,
            "hints": self.hints,
            "excerpt": self.excerpt,
        })
    }
}

/// Makes the report of an error.
pub(crate) fn report(error: &anyhow::Error) -> Report {
    let mut class = None;
    let mut report = Report {
        class: Class::Tool,
        code: 0,
        chain: Vec::new(),
        hints: Vec::new(),
        excerpt: Vec::new(),
    };
    for cause in error.chain() {
        let text = cause.to_string();
        if report.chain.last() != Some(&text) {
            report.chain.push(text);
        }
        if let Some(problem) = cause.downcast_ref::<Problem>() {
            class = class.or(Some(problem.class));
            report.hints.extend(problem.hints.iter().cloned());
            if report.excerpt.is_empty() {
                report.excerpt.clone_from(&problem.excerpt);
            }
        } else {
            let (of_library, hint) = of_library(cause);
            class = class.or(of_library);
            // Who hands an error on may know its hint, too.
            report.hints.extend(hint.filter(|hint| !report.hints.contains(hint)));
        }
    }
    report.class = class.unwrap_or(Class::Tool);
    let signal = kiln_host::signal::caught().and_then(|signal| u8::try_from(signal).ok());
    report.code = match signal {
        // What was begun was undone: the end is the signal's. If it was not, that counts more.
        Some(signal) if report.class != Class::Undo => 128 + signal,
        _ => report.class.code(),
    };
    report
}

/// The class and the hint of a library's error.
fn of_library(cause: &(dyn std::error::Error + 'static)) -> (Option<Class>, Option<String>) {
    if let Some(error) = cause.downcast_ref::<kiln_libvirt::Error>() {
        return of_libvirt(error);
    }
    if let Some(CmdError::Missing { tool }) = cause.downcast_ref::<CmdError>() {
        let hint = format!("install it: apt install {}", tool.package());
        return (Some(Class::Host), Some(hint));
    }
    if cause.is::<kiln_spec::size::SizeError>() || cause.is::<kiln_spec::name::NameError>() {
        return (Some(Class::Usage), None);
    }
    if cause.is::<kiln_spec::recipe::RecipeError>()
        || cause.is::<kiln_guest::userdata::UserDataError>()
        || cause.is::<kiln_disk::format::FormatError>()
    {
        return (Some(Class::File), None);
    }
    if let Some(error) = cause.downcast_ref::<ImageError>() {
        return of_image(error);
    }
    if let Some(error) = cause.downcast_ref::<CheckError>() {
        return of_check(error);
    }
    if let Some(error) = cause.downcast_ref::<ConvertError>() {
        return (of_convert(error), None);
    }
    if let Some(error) = cause.downcast_ref::<ResizeError>() {
        return of_resize(error);
    }
    if let Some(error) = cause.downcast_ref::<TendError>() {
        return (of_tend(error), None);
    }
    if let Some(error) = cause.downcast_ref::<GuestError>() {
        return (of_guest(error), error.hint());
    }
    if let Some(error) = cause.downcast_ref::<ApplianceError>() {
        return (of_appliance(error), error.hint());
    }
    if let Some(error) = cause.downcast_ref::<KernelError>() {
        return of_kernel(error);
    }
    if let Some(error) = cause.downcast_ref::<TransferError>() {
        let class = match error {
            TransferError::Tree(error) => of_tree(error),
            TransferError::Host { source, .. } => of_target(source),
            _ => Class::Host,
        };
        return (Some(class), None);
    }
    if let Some(error) = cause.downcast_ref::<ArgumentError>() {
        let class = match error {
            ArgumentError::File { source, .. } => of_own_file(source),
            ArgumentError::Line { .. } => Class::File,
            _ => Class::Usage,
        };
        return (Some(class), None);
    }
    if let Some(error) = cause.downcast_ref::<EditProblem>() {
        return of_edit(error);
    }
    if let Some(error) = cause.downcast_ref::<TreeError>() {
        return (Some(of_tree(error)), hint_of_tree(error));
    }
    if let Some(error) = cause.downcast_ref::<SealError>() {
        return (of_seal(error), error.hint());
    }
    if cause.is::<kiln_build::store::StoreError>() || cause.is::<ScratchError>() {
        return (Some(Class::Host), None);
    }
    if let Some(error) = cause.downcast_ref::<std::io::Error>() {
        return of_io(error);
    }
    of_builds(cause)
}

fn of_libvirt(error: &kiln_libvirt::Error) -> (Option<Class>, Option<String>) {
    if error.is_not_found() || error.is_exists() || error.is_operation_invalid() {
        (Some(Class::Object), None)
    } else if error.is_agent_unresponsive() {
        let hint = "the guest agent does not answer: the guest may be booting still (`kiln wait`), or have no qemu-guest-agent";
        (Some(Class::Guest), Some(hint.to_owned()))
    } else if error.is_connection_lost() {
        let hint =
            "libvirt's daemon there cannot be reached, or not any more; `kiln doctor` tells more";
        (Some(Class::Host), Some(hint.to_owned()))
    } else {
        (Some(Class::Tool), None)
    }
}

fn of_image(error: &ImageError) -> (Option<Class>, Option<String>) {
    let class = match error {
        // What is missing is an option.
        ImageError::Format(FormatError::Encrypted { .. }) | ImageError::Locked { .. } => {
            Some(Class::Usage)
        }
        ImageError::Format(_) => Some(Class::File),
        ImageError::Backing { source, .. } => return of_image(source),
        ImageError::NotAFile { .. }
        | ImageError::InUse { .. }
        | ImageError::Watched { .. }
        | ImageError::Snapshot { .. } => Some(Class::Object),
        ImageError::BackingKind { .. }
        | ImageError::BackingFormat { .. }
        | ImageError::Cycle { .. }
        | ImageError::TooDeep { .. }
        | ImageError::Unfinished { .. } => Some(Class::File),
        ImageError::Size { .. } | ImageError::OnlyRaw { .. } | ImageError::NotChanged { .. } => {
            Some(Class::Usage)
        }
        ImageError::ReadOnly { .. } => Some(Class::Bug),
        // What the host said is next in the chain, and knows its class.
        _ => None,
    };
    (class, error.hint())
}

fn of_kernel(error: &KernelError) -> (Option<Class>, Option<String>) {
    let hint = "run it by sudo; or leave `--trust` out: an appliance needs no root";
    match error {
        KernelError::NotRoot => (Some(Class::Host), Some(hint.to_owned())),
        KernelError::Mount { .. } => (Some(Class::File), None),
        KernelError::Io { .. } => (Some(Class::Host), None),
        // What failed is next in the chain, and knows its class.
        _ => (None, None),
    }
}

fn of_check(error: &CheckError) -> (Option<Class>, Option<String>) {
    match error {
        CheckError::Image(error) => of_image(error),
        CheckError::Table(error) => (of_table(error), None),
        CheckError::Read { .. } => (Some(Class::File), None),
        // What failed is next in the chain, and knows its class.
        _ => (None, None),
    }
}

fn of_convert(error: &ConvertError) -> Option<Class> {
    match error {
        ConvertError::Exists { .. } | ConvertError::InUse { .. } => Some(Class::Object),
        ConvertError::Option(_) => Some(Class::Usage),
        ConvertError::Read { .. } => Some(Class::File),
        ConvertError::Tool { .. } | ConvertError::Served { .. } => Some(Class::Tool),
        // What the host said is next in the chain, and knows its class.
        _ => None,
    }
}

fn of_resize(error: &ResizeError) -> (Option<Class>, Option<String>) {
    match error {
        ResizeError::Smaller { .. } => (Some(Class::Usage), None),
        ResizeError::Behind { .. } => {
            let hint = "`--partition auto` takes the last one, `none` leaves all as they are";
            (Some(Class::Object), Some(hint.to_owned()))
        }
        ResizeError::TooSmall { least, .. } => (Some(Class::Usage), Some(smallest(*least))),
        ResizeError::NotSmaller { least, .. } => (Some(Class::File), Some(smallest(*least))),
        ResizeError::Read { .. } => (Some(Class::File), None),
        ResizeError::Table(error) => (of_table(error), None),
        ResizeError::Image(error) => of_image(error),
        _ => (None, None),
    }
}

fn smallest(disk: Bytes) -> String {
    format!("the smallest that this disk can have is about {}M", disk.0 >> 20)
}

fn of_table(error: &TableError) -> Option<Class> {
    match error {
        TableError::Io { source, .. } => of_read(source),
        TableError::NoPartition { .. } | TableError::NoTable => Some(Class::Object),
        _ => Some(Class::File),
    }
}

fn of_tend(error: &TendError) -> Option<Class> {
    match error {
        TendError::TooSmall { .. } | TendError::TooLarge { .. } => Some(Class::Usage),
        TendError::Read { .. } | TendError::Damaged { .. } | TendError::Unmendable { .. } => {
            Some(Class::File)
        }
        // What failed is next in the chain, and knows its class.
        _ => None,
    }
}

fn of_guest(error: &GuestError) -> Option<Class> {
    match error {
        GuestError::NeedsAppliance { .. } => Some(Class::Host),
        GuestError::SeveralRoots { .. } => Some(Class::Usage),
        GuestError::NoSuchRoot { .. } | GuestError::NoSuchPlace { .. } => Some(Class::Object),
        GuestError::NoSystem { .. } | GuestError::Table { .. } | GuestError::FileSystem { .. } => {
            Some(Class::File)
        }
        GuestError::Io { source } => of_read(source),
        // What failed is next in the chain, and knows its class.
        _ => None,
    }
}

fn of_appliance(error: &ApplianceError) -> Option<Class> {
    match error {
        ApplianceError::SeveralRoots { .. }
        | ApplianceError::Locked { .. }
        | ApplianceError::Name { .. } => Some(Class::Usage),
        ApplianceError::NoSuchRoot { .. } | ApplianceError::NoSuchPlace { .. } => {
            Some(Class::Object)
        }
        ApplianceError::NoSystem { .. }
        | ApplianceError::Incomplete { .. }
        | ApplianceError::Mount { .. }
        | ApplianceError::Unfinished => Some(Class::File),
        // What failed is next in the chain, and knows its class.
        _ => None,
    }
}

fn of_edit(error: &EditProblem) -> (Option<Class>, Option<String>) {
    match error {
        EditProblem::Tree(error) => (Some(of_tree(error)), hint_of_tree(error)),
        EditProblem::Failed { .. } => (Some(Class::Guest), None),
        EditProblem::Run(RunError::Full { .. }) => (Some(Class::File), Some(LARGER.to_owned())),
        EditProblem::Full { wanted, .. } => {
            let more = wanted.0.div_ceil(1 << 20);
            let hint = format!("{LARGER}: `kiln image resize IMAGE +{more}M` is enough for it");
            (Some(Class::File), Some(hint))
        }
        EditProblem::NoUser { .. } => {
            let hint = "`--add-user` before it adds one";
            (Some(Class::Object), Some(hint.to_owned()))
        }
        EditProblem::Unit(_) => (Some(Class::Object), None),
        EditProblem::Host { source, .. } => (Some(of_own_file(source)), None),
        EditProblem::Refused { .. } | EditProblem::Tar(_) => (Some(Class::File), None),
        EditProblem::Random { .. } | EditProblem::NoRunner | EditProblem::Run(_) => {
            (Some(Class::Host), None)
        }
        // What the host said is next in the chain, and knows its class.
        _ => (None, None),
    }
}

/// What helps where the guest has no space.
const LARGER: &str = "`kiln image resize` makes the disk and its file system larger";

fn hint_of_tree(error: &TreeError) -> Option<String> {
    matches!(error, TreeError::NoSpace { .. }).then(|| LARGER.to_owned())
}

fn of_tree(error: &TreeError) -> Class {
    match error {
        TreeError::Backend { source, .. } => of_backend(&**source),
        TreeError::Output { .. } => Class::Host,
        TreeError::Contents { source, .. } => of_read(source).unwrap_or(Class::Host),
        TreeError::NoSpace { .. } | TreeError::ReadOnly { .. } => Class::File,
        _ => Class::Object,
    }
}

/// What holds a tree failed: a tool, or the image is damaged.
fn of_backend(source: &(dyn std::error::Error + 'static)) -> Class {
    let mut cause = Some(source);
    while let Some(error) = cause {
        if error.is::<CmdError>() || error.is::<FishError>() || error.is::<KernelError>() {
            return Class::Tool;
        }
        if let Some((Some(class), _)) = error.downcast_ref().map(of_io) {
            return class;
        }
        cause = error.source();
    }
    Class::File
}

fn of_seal(error: &SealError) -> Option<Class> {
    match error {
        SealError::Operation { .. } | SealError::Labels(_) => None,
        _ => Some(Class::Usage),
    }
}

fn of_io(error: &std::io::Error) -> (Option<Class>, Option<String>) {
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            (Some(Class::Host), Some("free some space and try again".to_owned()))
        }
        std::io::ErrorKind::NotFound => (Some(Class::Object), None),
        std::io::ErrorKind::PermissionDenied => (Some(Class::Host), None),
        _ => (None, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn the_outermost_class_wins_and_hints_are_gathered() {
        let inner =
            Problem::new(Class::Guest, "the guest said nothing").hint("look at its console");
        let error = anyhow::Error::new(
            Problem::new(Class::Object, "could not use `web`").because(inner).hint("try another"),
        );
        let report = report(&error);
        assert_eq!(report.class, Class::Object);
        assert_eq!(report.chain, ["could not use `web`", "the guest said nothing"]);
        assert_eq!(report.hints, ["try another", "look at its console"]);
    }

    #[test]
    fn a_hint_that_two_know_is_said_once() {
        let source = ImageError::from(FormatError::Dirty { name: "x".to_owned() });
        let report = report(&anyhow::Error::new(GuestError::Commit { source }));
        assert_eq!(report.hints, ["look at it with `kiln image check x`"]);
    }

    #[test]
    fn contexts_keep_the_class_of_what_they_wrap() {
        let error = Err::<(), _>(Problem::new(Class::File, "line 3 is wrong"))
            .context("could not read `x`")
            .unwrap_err();
        assert_eq!(report(&error).class.code(), 3);
    }

    #[test]
    fn exit_codes_are_distinct() {
        let mut codes: Vec<u8> = Class::ALL.iter().map(|(class, ..)| class.code()).collect();
        codes.dedup();
        assert_eq!(codes, [1, 2, 3, 4, 5, 6, 7, 8, 70]);
    }
}
