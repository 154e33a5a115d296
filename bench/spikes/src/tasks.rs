//! The usual way: tokio, a reading and a writing task and a channel per connection, one replica task.

use crate::log::Log;
use crate::merged::set;
use crate::{REQUEST, SET, answer, table};
use std::collections::VecDeque;
use std::sync::{Arc, RwLock};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

enum ToReplica {
    Submit([u8; REQUEST], UnboundedSender<Vec<u8>>),
    Synced(u64),
}

pub fn serve() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_io().build().expect("runtime");
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        println!("{}", listener.local_addr().expect("address").port());
        let shared = Arc::new(RwLock::new(table()));
        let (to_replica, mut inbox) = unbounded_channel();
        let log = {
            let to_replica = to_replica.clone();
            Log::start(move |total| drop(to_replica.send(ToReplica::Synced(total))))
        };
        {
            let shared = Arc::clone(&shared);
            tokio::spawn(async move {
                let mut window: VecDeque<([u8; REQUEST], UnboundedSender<Vec<u8>>)> = VecDeque::new();
                let mut applied = 0;
                while let Some(message) = inbox.recv().await {
                    match message {
                        ToReplica::Submit(request, reply) => {
                            window.push_back((request, reply));
                            log.push(1);
                        }
                        ToReplica::Synced(total) => {
                            let mut table = shared.write().expect("lock");
                            while applied < total {
                                applied += 1;
                                let (request, reply) = window.pop_front().expect("logged");
                                set(&mut table, &request);
                                let mut out = Vec::new();
                                answer(&table, &request, &mut out);
                                let _ = reply.send(out);
                            }
                        }
                    }
                }
            });
        }
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).expect("nodelay");
            tokio::spawn(connection(stream, to_replica.clone(), Arc::clone(&shared)));
        }
    });
}

async fn connection(stream: TcpStream, to_replica: UnboundedSender<ToReplica>, shared: Arc<RwLock<crate::Table>>) {
    let (mut reader, mut writer) = stream.into_split();
    let (replies, mut outbox) = unbounded_channel::<Vec<u8>>();
    tokio::spawn(async move {
        let mut batch = Vec::new();
        while let Some(first) = outbox.recv().await {
            batch.extend_from_slice(&first);
            while let Ok(more) = outbox.try_recv() {
                batch.extend_from_slice(&more);
            }
            if writer.write_all(&batch).await.is_err() {
                return;
            }
            batch.clear();
        }
    });
    let mut buffer = vec![0; 64 << 10];
    while let Ok(bytes) = reader.read(&mut buffer).await {
        if bytes == 0 {
            return;
        }
        let mut out = Vec::new();
        for request in buffer[..bytes].chunks_exact(REQUEST) {
            if request[11] == SET {
                let request = request.try_into().expect("whole");
                let _ = to_replica.send(ToReplica::Submit(request, replies.clone()));
            } else {
                answer(&shared.read().expect("lock"), request, &mut out);
            }
        }
        if !out.is_empty() {
            let _ = replies.send(out);
        }
    }
}
