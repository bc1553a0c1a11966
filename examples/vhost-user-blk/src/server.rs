//! Front-ends, served one after the other.

use std::fs;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use vhost::vhost_user::{Error as MessageError, Listener};
use vhost_user_backend::{Error, VhostUserDaemon};

use crate::device::Device;
use crate::memory::{Current, Memory};
use crate::options::Options;
use crate::stats::Stats;

/// How long the queues of a front-end that has gone may take to end: for one request each.
const PATIENCE: Duration = Duration::from_secs(5);

/// Serves as many front-ends as the options say.
///
/// # Errors
///
/// If the socket or the image cannot be opened. What a front-end does wrong ends its own connection.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    let told = |error: &dyn std::fmt::Display| format!("{}: {error}", options.image.display());
    // A wrong name is told now, not to the first front-end.
    Device::new(options).map_err(|error| told(&error))?;
    let mut listener = listen(&options.socket)
        .map_err(|error| format!("{}: {error}", options.socket.display()))?;
    log::info!("serves {} on {}", options.image.display(), options.socket.display());
    let mut stats = Stats::default();
    let mut left = options.serve;
    while left != Some(0) {
        left = left.map(|left| left - 1);
        let device = Arc::new(Device::new(options).map_err(|error| told(&error))?);
        match serve(&device, &mut listener) {
            Ok(()) => log::info!("the front-end has gone"),
            Err(error) => log::error!("the front-end is dropped: {error}"),
        }
        stats += device.stats();
        if let Some(path) = &options.stats
            && let Err(error) = fs::write(path, stats.to_string())
        {
            log::error!("{}: {error}", path.display());
        }
    }
    // It may have been replaced, or removed, by somebody else; that is no concern of ours.
    let _ = fs::remove_file(&options.socket);
    Ok(())
}

/// Allows this process as many open files as it may have.
///
/// A front-end may send a file for each of 509 regions; and vhost-user-backend 0.24 leaves one open for each queue of a
/// front-end that has gone.
pub(crate) fn raise_file_limit() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, most)| setrlimit(Resource::RLIMIT_NOFILE, most, most));
    if let Err(error) = raised {
        log::warn!("the limit of open files stays as it is: {error}");
    }
}

/// Makes the socket, under another name until it listens: who waits for its file to be there may connect then.
fn listen(path: &Path) -> Result<Listener, Box<dyn std::error::Error>> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".new");
    let listener = Listener::new(&unfinished, true)?;
    fs::rename(&unfinished, path)?;
    Ok(listener)
}

/// Serves the next front-end until it goes or must go. Its threads have ended, and its memory is unmapped, on return; but for
/// one that waits in a file of the front-end's for ever, which is left behind.
fn serve(device: &Arc<Device>, listener: &mut Listener) -> Result<(), Error> {
    let memory = Current::new(Memory::new());
    let mut daemon = VhostUserDaemon::new("vhost-user".to_owned(), Arc::clone(device), memory)?;
    daemon.start(listener)?;
    let result = daemon.wait();
    device.end();
    let (done, end) = mpsc::channel();
    thread::spawn(move || {
        drop(daemon);
        let _ = done.send(());
    });
    if end.recv_timeout(PATIENCE).is_err() {
        log::error!("a queue is stuck in a file of the front-end, and is left behind");
    }
    match result {
        // It has closed its end, between two messages or within one.
        Err(Error::HandleRequest(MessageError::Disconnected | MessageError::PartialMessage)) => {
            Ok(())
        }
        result => result,
    }
}
