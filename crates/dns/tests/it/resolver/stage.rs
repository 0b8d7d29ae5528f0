//! A DNS server that answers as a test says, well or badly.
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use certkeep_testkit::peers::ResponseCode;
use hickory_proto::op::{Message, Query};
use hickory_proto::rr::rdata::{NS, TXT};
use hickory_proto::rr::{Name, RData, Record};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
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
    data: Vec<RData>,
    forged_before: bool,
    second_hand: bool,
}

impl Answer {
    pub(super) fn silence() -> Self {
        Answer { code: None, data: Vec::new(), forged_before: false, second_hand: false }
    }

    pub(super) fn code(code: ResponseCode) -> Self {
        Answer { code: Some(code), ..Answer::silence() }
    }

    pub(super) fn txt(values: &[&str]) -> Self {
        Answer::of(values.iter().map(|&value| RData::TXT(TXT::new(vec![value.to_owned()]))))
    }

    pub(super) fn ns<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        Answer::of(names.map(|name| RData::NS(NS(Name::from_ascii(format!("{name}.")).unwrap()))))
    }

    pub(super) fn addresses<'a>(all: impl Iterator<Item = &'a IpAddr>) -> Self {
        Answer::of(all.map(|address| RData::from(*address)))
    }

    fn of(data: impl Iterator<Item = RData>) -> Self {
        Answer { data: data.collect(), ..Answer::code(ResponseCode::NoError) }
    }

    /// As a resolver answers: without the mark of authority, and offering to ask others.
    pub(super) fn second_hand(self) -> Self {
        Answer { second_hand: true, ..self }
    }

    /// Datagrams that do not answer the question go before: garbage, another id, another name.
    pub(super) fn after_forgeries(self) -> Self {
        Answer { forged_before: true, ..self }
    }

    fn messages(self, question: &Message) -> Vec<Vec<u8>> {
        let Some(code) = self.code else { return Vec::new() };
        let mut empty = question.clone().into_response();
        empty.metadata.authoritative = !self.second_hand;
        empty.metadata.recursion_available = self.second_hand;
        empty.metadata.response_code = code;
        let mut good = empty.clone();
        for data in self.data {
            good.add_answer(Record::from_rdata(question.queries[0].name().clone(), 60, data));
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
        Server::start_at((Ipv4Addr::LOCALHOST, 0).into(), answer).await
    }

    pub(super) async fn start_at(address: SocketAddr, answer: impl Fn(&Message, usize) -> Answer + Send + 'static) -> Self {
        let socket = UdpSocket::bind(address).await.unwrap();
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

/// A resolver by HTTP on loopback, as one by HTTPS answers; gone with its handle.
pub(super) struct Doh {
    pub(super) url: String,
    asked: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Doh {
    /// `answer` is given how many questions came before.
    pub(super) async fn start(answer: impl Fn(usize) -> Answer + Send + 'static) -> Doh {
        Doh::serve(move |question, asked| {
            let body = answer(asked).messages(question).pop().unwrap();
            let head = format!(
                "HTTP/1.1 200 x\r\ncontent-type: application/dns-message\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            [head.as_bytes(), &body].concat()
        })
        .await
    }

    /// Answers every question with these very octets.
    pub(super) async fn start_raw(answer: &'static str) -> Doh {
        Doh::serve(move |_, _| answer.as_bytes().to_vec()).await
    }

    async fn serve(answer: impl Fn(&Message, usize) -> Vec<u8> + Send + 'static) -> Doh {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}/dns-query", listener.local_addr().unwrap());
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            // One question a connection.
            while let Ok((mut stream, _)) = listener.accept().await {
                let question = question(&mut stream).await;
                assert_eq!(question.metadata.id, 0, "equal questions are equal");
                let reply = answer(&question, count.fetch_add(1, Ordering::SeqCst));
                stream.write_all(&reply).await.unwrap();
                stream.shutdown().await.unwrap();
            }
        });
        Doh { url, asked, task }
    }

    /// How many questions have come.
    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Drop for Doh {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads one request and the DNS message that it carries.
async fn question(stream: &mut TcpStream) -> Message {
    let mut came = Vec::new();
    loop {
        assert_ne!(stream.read_buf(&mut came).await.unwrap(), 0, "the request ends early");
        let Some(end) = came.windows(4).position(|octets| octets == b"\r\n\r\n") else { continue };
        let head = String::from_utf8(came[..end].to_vec()).unwrap().to_ascii_lowercase();
        assert!(head.starts_with("post /dns-query http/1.1") && head.contains("content-type: application/dns-message"), "{head}");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        let body = &came[end + 4..];
        if body.len() == length.parse::<usize>().unwrap() {
            return Message::from_vec(body).unwrap();
        }
    }
}
