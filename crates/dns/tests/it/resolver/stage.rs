//! A DNS server that answers as a test says, well or badly.
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use certkeep_testkit::peers::ResponseCode;
use hickory_proto::op::{Message, Query};
use hickory_proto::rr::rdata::TXT;
use hickory_proto::rr::{Name, RData, Record};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

/// A server on loopback, by UDP only; gone with its handle.
pub(super) struct Server {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

/// What one question gets.
pub(super) struct Answer {
    code: Option<ResponseCode>,
    values: Vec<String>,
    forged_before: bool,
}

impl Answer {
    pub(super) fn silence() -> Self {
        Answer { code: None, values: Vec::new(), forged_before: false }
    }

    pub(super) fn code(code: ResponseCode) -> Self {
        Answer { code: Some(code), ..Answer::silence() }
    }

    pub(super) fn txt(values: &[&str]) -> Self {
        Answer { values: values.iter().map(|&v| v.to_owned()).collect(), ..Answer::code(ResponseCode::NoError) }
    }

    /// Datagrams that do not answer the question go before: garbage, another id, another name.
    pub(super) fn after_forgeries(self) -> Self {
        Answer { forged_before: true, ..self }
    }

    fn messages(self, question: &Message) -> Vec<Vec<u8>> {
        let Some(code) = self.code else { return Vec::new() };
        let mut empty = question.clone().into_response();
        empty.metadata.authoritative = true;
        empty.metadata.response_code = code;
        let mut good = empty.clone();
        for value in self.values {
            let txt = RData::TXT(TXT::new(vec![value]));
            good.add_answer(Record::from_rdata(question.queries[0].name().clone(), 60, txt));
        }
        let mut messages = Vec::new();
        if self.forged_before {
            let mut other_id = empty.clone();
            other_id.metadata.id ^= 1;
            let mut other_name = empty;
            other_name.queries = vec![Query::query(Name::from_ascii("other.test.").unwrap(), question.queries[0].query_type())];
            messages.push(b"garbage".to_vec());
            messages.extend([other_id, other_name].map(|message| message.to_vec().unwrap()));
        }
        messages.push(good.to_vec().unwrap());
        messages
    }
}

impl Server {
    /// `answer` is given each question and how many were asked before it.
    pub(super) async fn start(answer: impl Fn(&Message, usize) -> Answer + Send + 'static) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = socket.local_addr().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            let mut buffer = [0; 512];
            while let Ok((length, asker)) = socket.recv_from(&mut buffer).await {
                let Ok(question) = Message::from_vec(&buffer[..length]) else { continue };
                for message in answer(&question, count.fetch_add(1, Ordering::SeqCst)).messages(&question) {
                    socket.send_to(&message, asker).await.unwrap();
                }
            }
        });
        Server { address, asked, task }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many questions have come.
    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}
