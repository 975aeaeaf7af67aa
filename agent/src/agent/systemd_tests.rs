//! What a service manager hears.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::time::Duration;

use super::systemd::Manager;

fn manager(variables: &[(&str, &str)]) -> Manager {
    let variables: BTreeMap<&str, &str> = variables.iter().copied().collect();
    Manager::of(&|name| variables.get(name).map(OsString::from))
}

fn heard(socket: &UnixDatagram) -> Option<String> {
    let mut buffer = [0; 1024];
    let timeout = Some(Duration::from_millis(100));
    socket.set_read_timeout(timeout).unwrap();
    let length = socket.recv(&mut buffer).ok()?;
    Some(String::from_utf8(buffer[..length].to_vec()).unwrap())
}

#[test]
fn a_manager_hears_on_a_path_and_on_an_abstract_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let name = format!("swarmer-test-{}", std::process::id());
    let named = SocketAddr::from_abstract_name(&name).unwrap();
    for (socket, variable) in [
        (
            UnixDatagram::bind(&path).unwrap(),
            path.display().to_string(),
        ),
        (UnixDatagram::bind_addr(&named).unwrap(), format!("@{name}")),
    ] {
        let manager = manager(&[("NOTIFY_SOCKET", &variable)]);
        manager.status("waiting: 1 of 3\nservers");
        manager.ready();
        manager.stopping();
        let said: Vec<String> = (0..3).filter_map(|_| heard(&socket)).collect();
        let stop = "STOPPING=1\nSTATUS=stopping";
        assert_eq!(said, ["STATUS=waiting: 1 of 3; servers", "READY=1", stop]);
    }
}

#[test]
fn without_a_manager_or_with_one_that_is_gone_nothing_happens() {
    manager(&[]).ready();
    manager(&[("NOTIFY_SOCKET", "")]).ready();
    manager(&[("NOTIFY_SOCKET", "vsock:2:1")]).ready();
    assert!(!Path::new("/nowhere").exists());
    manager(&[("NOTIFY_SOCKET", "/nowhere/notify")]).ready();
}
