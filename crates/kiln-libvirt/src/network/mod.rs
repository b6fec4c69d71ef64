// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Networks, leases, reserved addresses.

mod life;
mod spec;
mod view;

pub use life::{Lease, Network};
pub use spec::element;
pub use view::{DhcpHost, ForwardMode, IpView, NetworkView};
