// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Every error's class and hint, for those of builds, bundles, catalogs and elements.

use kiln_build::BuildError;
use kiln_build::bundle::BundleError;
use kiln_build::catalog::CatalogError;
use kiln_build::catalog::http::HttpError;
use kiln_build::element::ElementError;
use kiln_build::element::dib::run::RunError;
use kiln_build::store::StoreError;
use kiln_build::workspace::WorkspaceError;
use kiln_disk::assemble::AssembleError;
use kiln_host::namespace::SpaceError;

use crate::error::Class;

/// Returns the class and the hint of an error, as far as they are known.
pub(crate) fn of_builds(
    cause: &(dyn std::error::Error + 'static),
) -> (Option<Class>, Option<String>) {
    if let Some(error) = cause.downcast_ref::<CatalogError>() {
        return (of_catalog(error), error.hint());
    }
    if let Some(error) = cause.downcast_ref::<ElementError>() {
        let class = match error {
            ElementError::Unknown { .. } => Class::Object,
            _ => Class::File,
        };
        return (Some(class), error.hint());
    }
    if let Some(error) = cause.downcast_ref::<BuildError>() {
        return of_build(error);
    }
    let boxed = cause.downcast_ref::<Box<WorkspaceError>>().map(AsRef::as_ref);
    if let Some(error) = boxed.or_else(|| cause.downcast_ref()) {
        return (of_workspace(error), error.hint());
    }
    if let Some(error) = cause.downcast_ref::<BundleError>() {
        return (of_bundle(error), error.hint());
    }
    (None, None)
}

fn of_build(error: &BuildError) -> (Option<Class>, Option<String>) {
    let class = match error {
        BuildError::NoPackage { .. }
        | BuildError::Unmet { .. }
        | BuildError::NoSuite { .. }
        | BuildError::NoTimezone { .. }
        | BuildError::Recipe { .. }
        | BuildError::Cycle { .. }
        | BuildError::NoManager
        | BuildError::Image { .. }
        | BuildError::Disk(
            AssembleError::TooSmall { .. }
            | AssembleError::VolumeFull { .. }
            | AssembleError::BadLayout { .. }
            | AssembleError::Table { .. },
        )
        | BuildError::Locked { .. }
        | BuildError::LockedArchive { .. }
        | BuildError::StaleLock { .. }
        | BuildError::Unlockable { .. }
        | BuildError::NoLocale { .. } => Class::File,
        BuildError::Element(_) | BuildError::Dib(RunError::Element(_) | RunError::Disk { .. }) => {
            Class::File
        }
        BuildError::Dib(_) => return (None, error.hint()),
        BuildError::NoStep { .. } => Class::Usage,
        BuildError::NothingKept { .. }
        | BuildError::Store(StoreError::NotFound { .. } | StoreError::Ambiguous { .. }) => {
            Class::Object
        }
        // What failed is next in the chain, and knows its class.
        BuildError::Bundle(_)
        | BuildError::Workspace(_)
        | BuildError::Step { .. }
        | BuildError::Io { .. } => return (None, error.hint()),
        BuildError::Arch { .. }
        | BuildError::UnknownHost
        | BuildError::NoSubids { .. }
        | BuildError::NoKeyring { .. }
        | BuildError::NoSpace { .. } => Class::Host,
        _ => Class::Tool,
    };
    (Some(class), error.hint())
}

fn of_workspace(error: &WorkspaceError) -> Option<Class> {
    match error {
        WorkspaceError::Failed { .. } => Some(Class::Guest),
        WorkspaceError::Source { .. } => Some(Class::File),
        // What Kiln itself did in the tree: the tree is the user's.
        WorkspaceError::Space { source: SpaceError::Job { .. } } => Some(Class::File),
        WorkspaceError::Space { .. } | WorkspaceError::Scratch(_) => Some(Class::Host),
        _ => None,
    }
}

fn of_bundle(error: &BundleError) -> Option<Class> {
    match error {
        BundleError::Exists { .. } | BundleError::NotFound { .. } => Some(Class::Object),
        BundleError::Http { source: HttpError::Status { status: 404 | 410, .. } } => {
            Some(Class::Object)
        }
        BundleError::Http { .. } | BundleError::NoPut { .. } => Some(Class::Tool),
        BundleError::Name { .. } | BundleError::NoManifest { .. } => Some(Class::File),
        BundleError::Signature { source } if source.is_verdict() => Some(Class::File),
        BundleError::Address { .. } => Some(Class::Usage),
        BundleError::Stream { .. }
        | BundleError::Manifest { .. }
        | BundleError::Later { .. }
        | BundleError::Unlike { .. }
        | BundleError::Digest { .. } => Some(Class::File),
        BundleError::Assemble { source, .. } => match source {
            AssembleError::TooSmall { .. }
            | AssembleError::BadLayout { .. }
            | AssembleError::Table { .. } => Some(Class::Usage),
            // What the host said is next in the chain, and knows its class.
            AssembleError::Image { .. } | AssembleError::Tool { .. } => None,
            AssembleError::Appliance { .. } => Some(Class::Tool),
            _ => Some(Class::File),
        },
        // What the host said is next in the chain, and knows its class.
        _ => None,
    }
}

fn of_catalog(error: &CatalogError) -> Option<Class> {
    match error {
        _ if error.is_no_space() => Some(Class::Host),
        CatalogError::Syntax { .. }
        | CatalogError::Stream { .. }
        | CatalogError::NoTrust { .. }
        | CatalogError::NoChecksum { .. }
        | CatalogError::Length { .. }
        | CatalogError::Content { .. }
        | CatalogError::Changed { .. }
        | CatalogError::Unpack { .. }
        | CatalogError::Image { .. }
        | CatalogError::Unlike { .. }
        | CatalogError::Address { .. } => Some(Class::File),
        CatalogError::Signature { source, .. } if source.is_verdict() => Some(Class::File),
        CatalogError::NoCatalog { .. }
        | CatalogError::Exists { .. }
        | CatalogError::NotOurs { .. }
        | CatalogError::NotFound { .. } => Some(Class::Object),
        CatalogError::Name { .. } => Some(Class::Usage),
        CatalogError::Store(_) => Some(Class::Host),
        // What the host or a tool said is next in the chain, and knows its class.
        _ => None,
    }
}
