// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Downloads against a server that lies.

use super::*;
use crate::catalog::checksum::Algorithm;
use crate::catalog::http::{Http, HttpOptions, ProxyRule};
use kiln_testkit::http::{Lie, Server};

/// Three chunks, the last one short.
const LENGTH: usize = (16 << 20) + 12345;

struct Lab {
    folder: tempfile::TempDir,
    server: Server,
    checksum: Checksum,
    bytes: Vec<u8>,
}

impl Lab {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let bytes = kiln_testkit::Rng::new(1).bytes(LENGTH);
        fs::create_dir(folder.path().join("www")).unwrap();
        fs::create_dir(folder.path().join("down")).unwrap();
        fs::write(folder.path().join("www/f"), &bytes).unwrap();
        let mut hasher = Hasher::new(Algorithm::Sha256);
        hasher.update(&bytes);
        let server = Server::start(&folder.path().join("www"));
        Self { server, checksum: hasher.finish(), bytes, folder }
    }

    fn down(&self) -> PathBuf {
        self.folder.path().join("down")
    }

    fn get(&self, connections: usize, length: Option<Bytes>) -> Result<PathBuf, CatalogError> {
        let options = HttpOptions { stall: Duration::from_millis(500), ..HttpOptions::default() };
        let http = Http::new(options);
        let url = Address::parse(&self.server.url("f")).unwrap();
        let wanted =
            Wanted { catalog: "lab", url: &url, checksum: &self.checksum, length, connections };
        let client = http.client(&ProxyRule::Off).unwrap();
        download(&client, &wanted, &self.down(), &|_, _| {})
    }

    fn left(&self) -> Vec<String> {
        let entries = fs::read_dir(self.down()).unwrap();
        let mut names: Vec<_> =
            entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn assert_whole(&self, path: &Path) {
        assert!(fs::read(path).unwrap() == self.bytes);
    }
}

#[test]
fn a_file_comes_in_ranges_side_by_side() {
    let lab = Lab::new();
    let path = lab.get(4, Some(Bytes(LENGTH as u64))).unwrap();
    lab.assert_whole(&path);
    let mut ranges: Vec<_> = lab.server.requests().iter().filter_map(|r| r.range()).collect();
    ranges.sort_unstable();
    let last = LENGTH as u64 - 1;
    assert_eq!(
        ranges,
        [
            (0, Some(0)),
            (0, Some((8 << 20) - 1)),
            (8 << 20, Some((16 << 20) - 1)),
            (16 << 20, Some(last))
        ]
    );
}

#[test]
fn what_was_fetched_before_a_failure_is_not_fetched_again() {
    let lab = Lab::new();
    // Three chunks over one connection; the server is gone after the first and a bit.
    lab.server.lie_times("f", Lie::Status(500), 10);
    lab.server.lie_times("f", Lie::Truncate(u64::MAX), 2);
    assert!(matches!(lab.get(1, None), Err(CatalogError::Fetch { .. })));
    assert_eq!(lab.left(), ["part", "state"]);
    lab.server.honest();
    drop(lab.server.requests());
    lab.assert_whole(&lab.get(1, None).unwrap());
    let first: Vec<_> = lab.server.requests().iter().filter_map(|r| r.range()).collect();
    assert_eq!(first.iter().map(|(first, _)| *first).collect::<Vec<_>>(), [0, 8 << 20, 16 << 20]);
}

#[test]
fn a_broken_connection_goes_on_where_it_broke() {
    let lab = Lab::new();
    lab.server.lie_times("f", Lie::Truncate(100), 1);
    lab.server.lie_times("f", Lie::Stall(1 << 20), 1);
    lab.server.lie_times("f", Lie::Status(503), 1);
    lab.server.lie_times("f", Lie::Truncate(u64::MAX), 1);
    lab.assert_whole(&lab.get(1, None).unwrap());
    let requests = lab.server.requests();
    assert!(requests.iter().any(|r| r.range() == Some((1 << 20, Some((8 << 20) - 1)))));
}

#[test]
fn a_server_without_ranges_is_read_from_the_beginning() {
    let lab = Lab::new();
    lab.server.lie("f", Lie::NoRange);
    lab.assert_whole(&lab.get(4, None).unwrap());
    assert_eq!(lab.server.requests().len(), 1);
}

#[test]
fn what_is_wrong_is_refused_and_removed() {
    let lab = Lab::new();
    lab.server.lie("f", Lie::Flip(10 << 20));
    let error = lab.get(2, None).unwrap_err();
    assert!(matches!(error, CatalogError::Content { .. }), "{error:?}");
    assert_eq!(lab.left(), [""; 0]);
    lab.server.honest();
    let error = lab.get(2, Some(Bytes(7))).unwrap_err();
    assert!(matches!(error, CatalogError::Length { .. }), "{error:?}");
    lab.server.lie("f", Lie::NoRange);
    let error = lab.get(2, Some(Bytes(7))).unwrap_err();
    assert!(matches!(error, CatalogError::Length { .. }), "{error:?}");
    lab.server.honest();
    lab.server.lie("f", Lie::WrongRange);
    let error = lab.get(2, None).unwrap_err();
    assert!(matches!(error, CatalogError::Content { .. }), "{error:?}");
    assert_eq!(lab.left(), [""; 0]);
    lab.server.honest();
    lab.assert_whole(&lab.get(2, None).unwrap());
}

#[test]
fn a_state_that_does_not_fit_is_not_believed() {
    let lab = Lab::new();
    fs::write(lab.down().join("state"), format!("{LENGTH} 8388608 0 1 2\n")).unwrap();
    // The file of that state is not there.
    lab.assert_whole(&lab.get(2, None).unwrap());
    fs::write(lab.down().join("state"), "x 99999999999999999999 -1\n").unwrap();
    lab.assert_whole(&lab.get(2, None).unwrap());
    // A lie in the state is found by the checksum, and does not stay.
    fs::write(lab.down().join("part"), vec![0; LENGTH]).unwrap();
    fs::write(lab.down().join("state"), format!("{LENGTH} 8388608 0 1 2\n")).unwrap();
    assert!(matches!(lab.get(2, None), Err(CatalogError::Content { .. })));
    lab.assert_whole(&lab.get(2, None).unwrap());
}
