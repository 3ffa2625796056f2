//! A container runtime played by a test: a gRPC server on a unix socket, with a thread of its own.
//!
//! It dies as a process does: `kill` ends every connection at once and leaves the socket file behind.
//! For tests of this crate and of the daemon; no product binary is built with it.

use std::io;
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;
use tokio::sync::oneshot;
use tonic::transport::Server;
use tonic::transport::server::Router;
use tonic::{Request, Response, Status};

use crate::v1;
use crate::v1::image_service_server::{ImageService, ImageServiceServer};
use crate::v1::runtime_service_server::{RuntimeService, RuntimeServiceServer};

/// What the runtime says of itself and how it behaves; `containerd` is a healthy one.
#[derive(Clone, Debug)]
pub struct Script {
    name: String,
    version: String,
    images: usize,
    behaviour: Behaviour,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Behaviour {
    Healthy,
    SilentOnImages,
    RefusesImages,
    NotReady,
    ServesOnlyV1Alpha2,
}

impl Script {
    /// A healthy containerd of this version without images.
    #[must_use]
    pub fn containerd(version: &str) -> Self {
        Self::named("containerd", version)
    }

    /// A healthy runtime of this name and version without images.
    #[must_use]
    pub fn named(name: &str, version: &str) -> Self {
        Self { name: name.to_owned(), version: version.to_owned(), images: 0, behaviour: Behaviour::Healthy }
    }

    /// With this many images; the id of each is 1 KiB long, so that the length of the list is easily made large.
    #[must_use]
    pub fn with_images(self, images: usize) -> Self {
        Self { images, ..self }
    }

    /// Accepts `ImageFsInfo` and never answers it.
    #[must_use]
    pub fn silent_on_images(self) -> Self {
        Self { behaviour: Behaviour::SilentOnImages, ..self }
    }

    /// Answers `ListImages` with an internal error.
    #[must_use]
    pub fn refusing_to_list_images(self) -> Self {
        Self { behaviour: Behaviour::RefusesImages, ..self }
    }

    /// Says that its condition `RuntimeReady` is false.
    #[must_use]
    pub fn not_ready(self) -> Self {
        Self { behaviour: Behaviour::NotReady, ..self }
    }

    /// Knows no service of `runtime.v1`, as a runtime does that serves v1alpha2 alone.
    #[must_use]
    pub fn serving_only_v1alpha2(self) -> Self {
        Self { behaviour: Behaviour::ServesOnlyV1Alpha2, ..self }
    }

    /// Listens on `socket`, whose folder is made and whose leftover is removed, as runtimes do at their start.
    ///
    /// # Errors
    ///
    /// The folder or the socket cannot be made.
    pub fn start(self, socket: &Path) -> io::Result<Running> {
        if let Some(folder) = socket.parent() {
            std::fs::create_dir_all(folder)?;
        }
        if let Err(error) = std::fs::remove_file(socket)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error);
        }
        let listener = std::os::unix::net::UnixListener::bind(socket)?;
        listener.set_nonblocking(true)?;
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || self.serve(listener, stopped));
        Ok(Running { socket: socket.to_owned(), stop: Some(stop), thread: Some(thread) })
    }

    fn serve(self, listener: std::os::unix::net::UnixListener, stopped: oneshot::Receiver<()>) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let listener = UnixListener::from_std(listener)?;
            let incoming = futures::stream::unfold(listener, |listener| async move {
                let connection = listener.accept().await.map(|(connection, _)| connection);
                Some((connection, listener))
            });
            let serving = self.router().serve_with_incoming(incoming);
            tokio::select! {
                ended = serving => ended.map_err(io::Error::other),
                _ = stopped => Ok(()),
            }
        })
        // Dropping the runtime ends every open connection.
    }

    fn router(self) -> Router {
        let mut server = Server::builder();
        match self.behaviour {
            Behaviour::ServesOnlyV1Alpha2 => server.add_routes(tonic::service::Routes::default()),
            Behaviour::Healthy | Behaviour::SilentOnImages | Behaviour::RefusesImages | Behaviour::NotReady => {
                server.add_service(ImageServiceServer::new(self.clone())).add_service(RuntimeServiceServer::new(self))
            }
        }
    }
}

/// A started fake. Dropped, it is killed.
#[derive(Debug)]
pub struct Running {
    socket: PathBuf,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<io::Result<()>>>,
}

impl Running {
    /// Ends every connection at once; the socket file stays and refuses connections.
    pub fn kill(mut self) {
        self.end();
    }

    /// Ends as on a clean stop: the socket file is gone too.
    ///
    /// # Errors
    ///
    /// The socket file cannot be removed.
    pub fn stop(mut self) -> io::Result<()> {
        self.end();
        std::fs::remove_file(&self.socket)
    }

    fn end(&mut self) {
        if let Some(stop) = self.stop.take() {
            // The receiver is gone only if the server ended by itself.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

#[tonic::async_trait]
impl ImageService for Script {
    async fn list_images(&self, _: Request<v1::ListImagesRequest>) -> Result<Response<v1::ListImagesResponse>, Status> {
        if self.behaviour == Behaviour::RefusesImages {
            return Err(Status::internal("metadata database is closed"));
        }
        let images = (0..self.images).map(|n| v1::Image { id: format!("{n:01024}") }).collect();
        Ok(Response::new(v1::ListImagesResponse { images }))
    }

    async fn image_fs_info(
        &self,
        _: Request<v1::ImageFsInfoRequest>,
    ) -> Result<Response<v1::ImageFsInfoResponse>, Status> {
        if self.behaviour == Behaviour::SilentOnImages {
            futures::future::pending::<()>().await;
        }
        Ok(Response::new(v1::ImageFsInfoResponse {}))
    }
}

#[tonic::async_trait]
impl RuntimeService for Script {
    async fn version(&self, _: Request<v1::VersionRequest>) -> Result<Response<v1::VersionResponse>, Status> {
        Ok(Response::new(v1::VersionResponse {
            runtime_name: self.name.clone(),
            runtime_version: self.version.clone(),
            runtime_api_version: "v1".to_owned(),
        }))
    }

    async fn status(&self, _: Request<v1::StatusRequest>) -> Result<Response<v1::StatusResponse>, Status> {
        let ready = self.behaviour != Behaviour::NotReady;
        let condition = |kind: &str, status: bool| v1::RuntimeCondition {
            r#type: kind.to_owned(),
            status,
            reason: if status { String::new() } else { "Broken".to_owned() },
            message: if status { String::new() } else { "storage is not mounted".to_owned() },
        };
        // A node whose Pod network is not there yet, as every node has been once.
        let conditions = vec![condition("NetworkReady", false), condition("RuntimeReady", ready)];
        Ok(Response::new(v1::StatusResponse { status: Some(v1::RuntimeStatus { conditions }) }))
    }
}
