//! An HTTP listener on loopback that can be shut and opened again at the same port.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;
use tokio::net::TcpSocket;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

const BACKLOG: u32 = 1024;

/// The listener; dropping it ends it and its connections.
pub(crate) struct Door {
    address: SocketAddr,
    tls: Option<RustlsConfig>,
    app: Router,
    position: Mutex<Position>,
}

enum Position {
    Open {
        handle: Handle<SocketAddr>,
        task: JoinHandle<std::io::Result<()>>,
    },
    /// Bound but not listening: the port stays ours and whoever knocks is refused.
    Shut(TcpSocket),
    /// Between the two, or after a failure to get the port back.
    Gone,
}

/// A port taken before it is known what is served at it.
pub(crate) struct Site {
    socket: TcpSocket,
    address: SocketAddr,
}

impl Site {
    /// Takes the port on loopback, any free one when it is 0.
    pub(crate) fn take(port: u16) -> std::io::Result<Site> {
        let socket = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
        let address = socket.local_addr()?;
        Ok(Site { socket, address })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves `app` here, over TLS if there is a configuration for it.
    pub(crate) fn open(self, app: Router, tls: Option<Arc<rustls::ServerConfig>>) -> std::io::Result<Door> {
        let tls = tls.map(RustlsConfig::from_config);
        let position = open(self.socket, &app, tls.as_ref())?;
        Ok(Door { address: self.address, tls, app, position: Mutex::new(position) })
    }
}

impl Door {
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends all connections; new ones are refused from when this returns.
    pub(crate) async fn shut(&self) -> std::io::Result<()> {
        let mut position = self.position.lock().await;
        if let Position::Open { handle, task } = &mut *position {
            handle.shutdown();
            // The listener is gone when its task is; how it ended does not matter any more.
            let _ = task.await;
            *position = Position::Gone;
            *position = Position::Shut(bind(self.address)?);
        }
        Ok(())
    }

    /// Ends all connections and gives the port back.
    pub(crate) async fn end(&self) {
        let mut position = self.position.lock().await;
        if let Position::Open { handle, task } = std::mem::replace(&mut *position, Position::Gone) {
            handle.shutdown();
            // How it ended does not matter any more.
            let _ = task.await;
        }
    }

    /// Listens again; connections are accepted from when this returns.
    pub(crate) async fn open(&self) -> std::io::Result<()> {
        let mut position = self.position.lock().await;
        *position = match std::mem::replace(&mut *position, Position::Gone) {
            Position::Shut(socket) => open(socket, &self.app, self.tls.as_ref())?,
            Position::Gone => open(bind(self.address)?, &self.app, self.tls.as_ref())?,
            opened @ Position::Open { .. } => opened,
        };
        Ok(())
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        if let Position::Open { handle, .. } = self.position.get_mut() {
            handle.shutdown();
        }
    }
}

fn bind(address: SocketAddr) -> std::io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    // Connections that linger after a shut must not keep us from the port.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

fn open(socket: TcpSocket, app: &Router, tls: Option<&RustlsConfig>) -> std::io::Result<Position> {
    let listener = socket.listen(BACKLOG)?.into_std()?;
    let handle = Handle::new();
    let service = app.clone().into_make_service();
    let task = match tls {
        Some(tls) => {
            let server = axum_server::from_tcp_rustls(listener, tls.clone())?;
            tokio::spawn(server.handle(handle.clone()).serve(service))
        }
        None => {
            let server = axum_server::from_tcp(listener)?;
            tokio::spawn(server.handle(handle.clone()).serve(service))
        }
    };
    Ok(Position::Open { handle, task })
}
