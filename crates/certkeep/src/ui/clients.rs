//! *Clients*: the appliances and programs that call the P-Series API.
use askama::Template;
use axum::response::Response;
use certkeep_core::client::{Client, ClientRole};
use certkeep_core::people::Act;

use super::frame::{Frame, shown};
use super::stop::Stop;
use super::visit::Visit;

#[derive(Template)]
#[template(path = "clients.html")]
struct Page<'a> {
    f: Frame<'a>,
    clients: Vec<Row>,
}

struct Row {
    name: String,
    client_id: String,
    role: String,
    networks: String,
}

pub(super) async fn show(visit: &Visit<'_>) -> Result<Response, Stop> {
    visit.needs(Act::ManageClients)?;
    let texts = visit.texts;
    let row = |client: Client| Row {
        role: texts.t(if client.role == ClientRole::Admin { "clients.admin" } else { "clients.viewer" }).to_owned(),
        networks: match client.networks.as_slice() {
            [] => texts.t("clients.anywhere").to_owned(),
            networks => networks.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        },
        name: client.name,
        client_id: client.client_id,
    };
    let clients = visit.engine().clients().await?.into_iter().map(row).collect();
    shown(&Page { f: visit.frame(texts.t("nav.clients"), "clients"), clients })
}
