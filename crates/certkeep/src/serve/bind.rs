//! Taking an address, or saying why it cannot be had.
use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;

/// An address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("{address} cannot be listened on: {}", cause(.source))]
pub struct BindError {
    address: SocketAddr,
    #[source]
    source: io::Error,
}

fn cause(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another program listens there already; stop it, or choose another port with --listen or --http"
        }
        io::ErrorKind::AddrNotAvailable => "this machine has no such address; 0.0.0.0 stands for all it has",
        io::ErrorKind::PermissionDenied => "ports below 1024 need a right this user has not; choose a higher one",
        _ => "the system refuses",
    }
}

pub(super) async fn listen(address: SocketAddr) -> Result<TcpListener, BindError> {
    TcpListener::bind(address).await.map_err(|source| BindError { address, source })
}

/// Where it really listens, the port that the system chose included.
pub(super) fn address(listener: &TcpListener, address: SocketAddr) -> Result<SocketAddr, BindError> {
    listener.local_addr().map_err(|source| BindError { address, source })
}
