//! Sockets of WASI 0.3. Each argument is a verb, VERB[=VALUE[,VALUE]]; it prints what came of it on a line.
use futures::future::join_all;
use futures::join;
use wasi::sockets::ip_name_lookup::resolve_addresses;
use wasi::sockets::types::{ErrorCode, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, TcpSocket, UdpSocket};

wit_bindgen::generate!({
    inline: "
        package orlo:sockets;
        world net3 {
            import wasi:sockets/types@0.3.0;
            import wasi:sockets/ip-name-lookup@0.3.0;
            import wasi:clocks/monotonic-clock@0.3.0;
            export wasi:cli/run@0.3.0;
        }
    ",
    path: ["../../../wit/wasi-0.3"],
    world: "orlo:sockets/net3",
    generate_all,
});

struct Component;
export!(Component);

type Outcome = Result<String, String>;

fn code(e: ErrorCode) -> String {
    format!("{e:?}").replace("ErrorCode::", "")
}

fn pattern(n: usize) -> Vec<u8> {
    (0..n).map(|i| (i * 7 + i / 251) as u8).collect()
}

fn address(at: &str) -> IpSocketAddress {
    let a: std::net::SocketAddrV4 = at.parse().unwrap();
    let [b0, b1, b2, b3] = a.ip().octets();
    IpSocketAddress::Ipv4(Ipv4SocketAddress { port: a.port(), address: (b0, b1, b2, b3) })
}
fn port(a: IpSocketAddress) -> u16 {
    match a {
        IpSocketAddress::Ipv4(a) => a.port,
        IpSocketAddress::Ipv6(a) => a.port,
    }
}

fn tcp() -> Result<TcpSocket, String> {
    TcpSocket::create(IpAddressFamily::Ipv4).map_err(code)
}

async fn connected(at: &str) -> Result<TcpSocket, String> {
    let s = tcp()?;
    s.connect(address(at)).await.map_err(code)?;
    Ok(s)
}

/// get=ADDR,BYTES: writes and reads at the same time.
async fn get(at: &str, bytes: usize) -> Outcome {
    let s = connected(at).await?;
    let (mut tx, rx) = wit_stream::new();
    let (input, read) = s.receive();
    let data = pattern(bytes);
    let sent = s.send(rx);
    let (sent, _, got) = join!(
        async { sent.await },
        async {
            tx.write_all(data.clone()).await;
            drop(tx);
        },
        input.collect()
    );
    sent.map_err(code)?;
    read.await.map_err(code)?;
    Ok(format!("{} bytes, the same: {}", got.len(), got == data))
}

/// echo=ADDR,N: serves N connections, all at once.
async fn echo(at: &str, n: usize) -> Outcome {
    let l = tcp()?;
    l.bind(address(at)).map_err(code)?;
    let mut accept = l.listen().map_err(code)?;
    println!("{}", port(l.get_local_address().map_err(code)?));
    let mut all = Vec::new();
    for _ in 0..n {
        let s = accept.next().await.ok_or("no more connections")?;
        all.push(beside(async move {
            let (input, read) = s.receive(); // the stream goes around without passing through the guest
            let sent = s.send(input).await;
            read.await.is_ok() && sent.is_ok()
        }));
    }
    let ended = join_all(all).await;
    Ok(format!("{} of {n} ended well", ended.into_iter().filter(|ok| *ok).count()))
}

/// Runs a future on its own while others are awaited.
fn beside<T: 'static>(f: impl Future<Output = T> + 'static) -> impl Future<Output = T> {
    let (tx, rx) = futures::channel::oneshot::channel();
    wit_bindgen::spawn_local(async move {
        let _ = tx.send(f.await);
    });
    async move { rx.await.unwrap() }
}

async fn connect(at: &str) -> Outcome {
    connected(at).await.map(|_| "connected".to_string())
}

/// Everything given up in the middle.
async fn drops(at: &str) -> Outcome {
    for i in 0..30 {
        let s = tcp()?;
        let connecting = s.connect(address(at));
        if i % 2 == 0 {
            drop(connecting);
        } else {
            let mut connecting = Box::pin(connecting);
            let _ = futures::poll!(connecting.as_mut());
            drop(connecting); // cancelled
        }
        drop(s);
    }
    for i in 0..30 {
        let s = connected(at).await?;
        let (mut tx, rx) = wit_stream::new();
        let (input, read) = s.receive();
        let sent = s.send(rx);
        match i % 6 {
            0 => drop((s, input, read)),
            1 => drop((sent, input)),
            2 => drop(tx),
            3 => {
                let _ = tx.write(vec![1; 100]).await;
                drop((sent, s));
            }
            4 => {
                drop((s, read));
                let mut reading = Box::pin(input.collect());
                let _ = futures::poll!(reading.as_mut());
                drop(reading);
            }
            _ => {
                let mut writing = Box::pin(tx.write_all(vec![2; 1 << 20]));
                let _ = futures::poll!(writing.as_mut());
                drop(writing);
            }
        }
    }
    let l = tcp()?;
    let accept = l.listen().map_err(code)?;
    drop(accept);
    Ok("dropped".to_string())
}

/// Streams of a socket whose handle is gone.
async fn outlive(at: &str) -> Outcome {
    let s = connected(at).await?;
    let (mut tx, rx) = wit_stream::new();
    let (input, read) = s.receive();
    let sent = s.send(rx);
    drop(s);
    tx.write_all(b"still there".to_vec()).await;
    drop(tx);
    sent.await.map_err(code)?;
    let got = input.collect().await;
    read.await.map_err(code)?;
    Ok(String::from_utf8_lossy(&got).to_string())
}

async fn reset(at: &str) -> Outcome {
    let s = connected(at).await?;
    let (mut tx, rx) = wit_stream::new();
    let (input, read) = s.receive();
    let sent = s.send(rx);
    tx.write_all(b"go".to_vec()).await;
    let got = input.collect().await;
    let read = read.await.map_err(code);
    let mut left = 0;
    for _ in 0..1000 {
        left = tx.write_all(vec![0; 65536]).await.len();
        if left > 0 {
            break;
        }
    }
    drop(tx);
    let sent = sent.await.map_err(code).err().unwrap_or_default();
    Ok(format!("{} bytes; read: {}; write: {sent}; stopped: {}", got.len(), read.err().unwrap_or_default(), left > 0))
}

/// hold=ADDR: a listener whose owner keeps every connection until there can be no more, then lets go.
async fn hold(n: usize) -> Outcome {
    let l = tcp()?;
    l.bind(address("127.0.0.1:0")).map_err(code)?;
    l.set_listen_backlog_size(1000).map_err(code)?;
    let mut accept = l.listen().map_err(code)?;
    let at = l.get_local_address().map_err(code)?;
    let mut held = Vec::new();
    let refused = loop {
        match TcpSocket::create(IpAddressFamily::Ipv4) {
            Err(e) => break code(e),
            Ok(s) => {
                s.connect(at).await.map_err(code)?;
                held.push(s);
            }
        }
    };
    let opened = held.len();
    drop(held.split_off(opened - n));
    let mut accepted = 0;
    while accepted < n {
        drop(accept.next().await.ok_or("no more connections")?);
        accepted += 1;
    }
    Ok(format!("{opened} then {refused}; {accepted} accepted"))
}

async fn udp(at: &str) -> Outcome {
    let s = UdpSocket::create(IpAddressFamily::Ipv4).map_err(code)?;
    s.send(b"ping".to_vec(), Some(address(at))).await.map_err(code)?;
    let (data, from) = s.receive().await.map_err(code)?;
    Ok(format!("{} from {}", String::from_utf8_lossy(&data), port(from)))
}

/// Several receivers of one socket, one of them given up; datagrams of all sizes.
async fn datagrams() -> Outcome {
    let (a, b) = (UdpSocket::create(IpAddressFamily::Ipv4).map_err(code)?, UdpSocket::create(IpAddressFamily::Ipv4).map_err(code)?);
    a.bind(address("127.0.0.1:0")).map_err(code)?;
    b.bind(address("127.0.0.1:0")).map_err(code)?;
    let to = a.get_local_address().map_err(code)?;
    {
        let mut given_up = Box::pin(a.receive());
        let _ = futures::poll!(given_up.as_mut());
    }
    let receive = async || a.receive().await.map(|(data, _)| data.len()).map_err(code);
    let (r0, r1, r2, _) = join!(receive(), receive(), receive(), async {
        for n in [0usize, 1, 60000] {
            b.send(pattern(n), Some(to)).await.unwrap();
        }
    });
    let mut got = [r0?, r1?, r2?];
    got.sort();
    let large = b.send(pattern(65536), Some(to)).await.map_err(code).err().unwrap_or_default();
    Ok(format!("{got:?} {large}"))
}

async fn lookup(name: &str) -> Outcome {
    let list = resolve_addresses(name.to_string()).await.map_err(|e| format!("{e:?}").replace("ErrorCode::", ""))?;
    Ok(format!("{} found", if list.is_empty() { "none" } else { "some" }))
}

async fn verb(arg: &str) -> Outcome {
    let (verb, values) = arg.split_once('=').unwrap_or((arg, ""));
    let v: Vec<&str> = values.split(',').collect();
    let number = |i: usize| v.get(i).and_then(|t| t.parse().ok()).unwrap_or(0usize);
    match verb {
        "get" => get(v[0], number(1)).await,
        "echo" => echo(v[0], number(1)).await,
        "connect" => connect(v[0]).await,
        "drops" => drops(v[0]).await,
        "outlive" => outlive(v[0]).await,
        "reset" => reset(v[0]).await,
        "hold" => hold(number(0)).await,
        "udp" => udp(v[0]).await,
        "datagrams" => datagrams().await,
        "lookup" => lookup(v[0]).await,
        _ => Err("no such verb".to_string()),
    }
}

impl exports::wasi::cli::run::Guest for Component {
    async fn run() -> Result<(), ()> {
        let args: Vec<String> = match std::env::var("QUERY_STRING") {
            Ok(query) => {
                print!("Content-Type: text/plain\r\n\r\n");
                query.split('&').map(str::to_string).collect()
            }
            Err(_) => std::env::args().skip(1).collect(),
        };
        for arg in args {
            match verb(&arg).await {
                Ok(said) => println!("{said}"),
                Err(why) => println!("error: {why}"),
            }
        }
        Ok(())
    }
}

fn main() {}
