//! Sockets by Rust's std::net, and WASI 0.2 by hand where std never goes. Each argument is a verb, VERB[=VALUE[,VALUE]]; it prints what
//! came of it on a line. Served as CGI, the query is the arguments, separated by '&'.
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use wasi::io::streams::StreamError;
use wasi::sockets::instance_network::instance_network;
use wasi::sockets::ip_name_lookup::resolve_addresses;
use wasi::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress};
use wasi::sockets::tcp::{ShutdownType, TcpSocket};
use wasi::sockets::tcp_create_socket::create_tcp_socket;
use wasi::sockets::udp::OutgoingDatagram;
use wasi::sockets::udp_create_socket::create_udp_socket;

wit_bindgen::generate!({
    inline: "
        package orlo:sockets;
        world net2 {
            import wasi:sockets/instance-network@0.2.12;
            import wasi:sockets/ip-name-lookup@0.2.12;
            import wasi:sockets/tcp-create-socket@0.2.12;
            import wasi:sockets/udp-create-socket@0.2.12;
            import wasi:io/poll@0.2.12;
        }
    ",
    path: ["../../../wit/wasi-0.2"],
    world: "orlo:sockets/net2",
    generate_all,
});

type Outcome = Result<String, String>;

fn text<E: std::fmt::Display>(e: E) -> String {
    e.to_string()
}
fn code(e: ErrorCode) -> String {
    e.name().to_string()
}

fn sum(data: &[u8]) -> u32 {
    data.iter().fold(17u32, |s, &b| s.wrapping_mul(31).wrapping_add(b as u32))
}
fn pattern(n: usize) -> Vec<u8> {
    (0..n).map(|i| (i * 7 + i / 251) as u8).collect()
}

/* ---- std::net ---- */

/// get=HOST:PORT,BYTES: writes so many bytes, says it is done, reads all that comes back.
fn get(at: &str, bytes: usize) -> Outcome {
    let mut s = TcpStream::connect(at).map_err(text)?;
    let mut reads = s.try_clone().map_err(text);
    s.write_all(&pattern(bytes)).map_err(text)?;
    s.shutdown(Shutdown::Write).map_err(text)?;
    let mut got = Vec::new();
    reads.as_mut().unwrap_or(&mut s).read_to_end(&mut got).map_err(text)?;
    Ok(format!("{} {:08x}", got.len(), sum(&got)))
}

/// echo=HOST:PORT,N: serves N connections one after another, each until its end.
fn echo(at: &str, n: usize) -> Outcome {
    let l = TcpListener::bind(at).map_err(text)?;
    println!("{}", l.local_addr().map_err(text)?);
    let mut total = 0;
    for _ in 0..n {
        let (mut s, _) = l.accept().map_err(text)?;
        let mut buffer = [0; 8192];
        loop {
            match s.read(&mut buffer) {
                Ok(0) | Err(_) => break,
                Ok(n) => total += s.write_all(&buffer[..n]).map(|_| n).unwrap_or(0),
            }
        }
    }
    Ok(format!("echoed {total}"))
}

fn udp(at: &str) -> Outcome {
    let s = UdpSocket::bind("0.0.0.0:0").map_err(text)?;
    s.send_to(b"ping", at).map_err(text)?;
    let mut buffer = [0; 65536];
    let (n, from) = s.recv_from(&mut buffer).map_err(text)?;
    Ok(format!("{} from {from}", String::from_utf8_lossy(&buffer[..n])))
}

/// Answers N datagrams with their length and sender.
fn udp_serve(at: &str, n: usize) -> Outcome {
    let s = UdpSocket::bind(at).map_err(text)?;
    println!("{}", s.local_addr().map_err(text)?);
    for _ in 0..n {
        let mut buffer = vec![0; 65536];
        let (n, from) = s.recv_from(&mut buffer).map_err(text)?;
        s.send_to(format!("{n} {from}").as_bytes(), from).map_err(text)?;
    }
    Ok("served".to_string())
}

fn lookup(name: &str) -> Outcome {
    let list: Vec<String> = (name, 0).to_socket_addrs().map_err(text)?.map(|a| a.ip().to_string()).collect();
    Ok(list.join(" "))
}

/* ---- WASI 0.2 by hand ---- */

fn address(at: &str) -> IpSocketAddress {
    match at.parse().unwrap() {
        std::net::SocketAddr::V4(a) => {
            let [b0, b1, b2, b3] = a.ip().octets();
            IpSocketAddress::Ipv4(Ipv4SocketAddress { port: a.port(), address: (b0, b1, b2, b3) })
        }
        std::net::SocketAddr::V6(a) => {
            let [g0, g1, g2, g3, g4, g5, g6, g7] = a.ip().segments();
            IpSocketAddress::Ipv6(Ipv6SocketAddress {
                port: a.port(),
                flow_info: 0,
                address: (g0, g1, g2, g3, g4, g5, g6, g7),
                scope_id: 0,
            })
        }
    }
}
fn family(at: &str) -> IpAddressFamily {
    if at.starts_with('[') { IpAddressFamily::Ipv6 } else { IpAddressFamily::Ipv4 }
}

fn connect_only(at: &str) -> Result<TcpSocket, ErrorCode> {
    let s = create_tcp_socket(family(at))?;
    s.start_connect(&instance_network(), address(at))?;
    Ok(s)
}

fn finish(s: &TcpSocket) -> Result<(wasi::io::streams::InputStream, wasi::io::streams::OutputStream), ErrorCode> {
    loop {
        match s.finish_connect() {
            Err(ErrorCode::WouldBlock) => s.subscribe().block(),
            done => return done,
        }
    }
}

/// The outcome of one connection.
fn connect(at: &str) -> Outcome {
    let s = connect_only(at).map_err(code)?;
    finish(&s).map_err(code)?;
    Ok("connected".to_string())
}

/// flood=ADDR,N: N connections, one after another, of one byte there and back.
fn flood(at: &str, n: usize) -> Outcome {
    for i in 0..n {
        let s = connect_only(at).map_err(code)?;
        let (input, output) = finish(&s).map_err(|e| format!("{} after {i}", e.name()))?;
        output.blocking_write_and_flush(b"x").map_err(text)?;
        input.blocking_read(1).map_err(text)?;
    }
    Ok(format!("{n} connections"))
}

/// hold=ADDR: opens connections until it may not, then lets go of all and opens one more.
fn hold(at: &str) -> Outcome {
    let mut held = Vec::new();
    let refused = loop {
        match connect_only(at).and_then(|s| finish(&s).map(|streams| (streams, s))) {
            Ok(one) => held.push(one),
            Err(e) => break e,
        }
    };
    let n = held.len();
    drop(held);
    Ok(format!("{n} then {}, then {}", refused.name(), connect(at)?))
}

/// Every operation at the wrong time.
fn states(at: &str) -> Outcome {
    let net = instance_network();
    let mut said = Vec::new();
    let mut say = |what: &str, r: Result<(), ErrorCode>| said.push(format!("{what}={}", r.err().map_or("ok", |e| e.name())));
    let s = create_tcp_socket(IpAddressFamily::Ipv4).map_err(code)?;
    say("finish-bind", s.finish_bind());
    say("finish-listen", s.finish_listen());
    say("finish-connect", s.finish_connect().map(|_| ()));
    say("listen-unbound", s.start_listen());
    say("accept-unbound", s.accept().map(|_| ()));
    say("local-unbound", s.local_address().map(|_| ()));
    say("remote-unbound", s.remote_address().map(|_| ()));
    say("shutdown-unbound", s.shutdown(ShutdownType::Both));
    say("bind-mapped", create_tcp_socket(IpAddressFamily::Ipv6).map_err(code)?.start_bind(&net, address("[::ffff:127.0.0.1]:0")));
    say("bind-v6", s.start_bind(&net, address("[::1]:0")));
    say("bind", s.start_bind(&net, address("127.0.0.1:0")));
    say("bind-twice", s.start_bind(&net, address("127.0.0.1:0")));
    say("listen-while-binding", s.start_listen());
    say("bound", s.finish_bind());
    say("bind-again", s.start_bind(&net, address("127.0.0.1:0")));
    say("connect-port-0", s.start_connect(&net, address("127.0.0.1:0")));
    say("connect-any", s.start_connect(&net, address("0.0.0.0:80")));
    say("connect-multicast", s.start_connect(&net, address("224.0.0.1:80")));
    say("connect", s.start_connect(&net, address(at)));
    say("connect-twice", s.start_connect(&net, address(at)));
    say("listen-while-connecting", s.start_listen());
    let streams = finish(&s);
    say("connected", streams.as_ref().map(|_| ()).map_err(|e| *e));
    say("finish-again", s.finish_connect().map(|_| ()));
    say("listen-connected", s.start_listen());
    say("backlog-connected", s.set_listen_backlog_size(5));
    say("remote", s.remote_address().map(|_| ()));
    say("shutdown", s.shutdown(ShutdownType::Send));
    say("shutdown-again", s.shutdown(ShutdownType::Send));
    say("hop-limit-0", s.set_hop_limit(0));
    Ok(said.join(" "))
}

/// Everything dropped in the middle: sockets that connect, listeners with somebody waiting, streams whose socket is gone.
fn drops(at: &str) -> Outcome {
    let net = instance_network();
    for _ in 0..50 {
        let s = connect_only(at).map_err(code)?;
        let p = s.subscribe();
        drop(s);
        p.block(); // it keeps its socket
    }
    let s = connect_only(at).map_err(code)?;
    let (input, output) = finish(&s).map_err(code)?;
    drop(s);
    output.blocking_write_and_flush(b"after its socket").map_err(text)?;
    drop(output); // the peer sees the end, and answers
    let mut got = Vec::new();
    while let Ok(piece) = input.blocking_read(100) {
        got.extend(piece);
    }
    let l = create_tcp_socket(IpAddressFamily::Ipv4).map_err(code)?;
    l.start_bind(&net, address("127.0.0.1:0")).map_err(code)?;
    l.finish_bind().map_err(code)?;
    l.start_listen().map_err(code)?;
    l.finish_listen().map_err(code)?;
    let (port, p) = (l.local_address().map_err(code)?, l.subscribe());
    let caller = create_tcp_socket(IpAddressFamily::Ipv4).map_err(code)?;
    caller.start_connect(&net, port).map_err(code)?;
    p.block();
    let (taken, taken_in, _) = l.accept().map_err(code)?;
    drop((l, taken));
    let (_, caller_out) = finish(&caller).map_err(code)?;
    drop(caller);
    caller_out.blocking_write_and_flush(b"hi").map_err(text)?;
    Ok(format!("{} {}", String::from_utf8_lossy(&got), taken_in.blocking_read(10).map_err(text)?.len()))
}

/// A socket that connects to its own address.
fn itself() -> Outcome {
    let net = instance_network();
    let s = create_tcp_socket(IpAddressFamily::Ipv4).map_err(code)?;
    s.start_bind(&net, address("127.0.0.1:0")).map_err(code)?;
    s.finish_bind().map_err(code)?;
    let own = s.local_address().map_err(code)?;
    s.start_connect(&net, own).map_err(code)?;
    let (input, output) = finish(&s).map_err(code)?;
    output.blocking_write_and_flush(b"echo").map_err(text)?;
    Ok(format!("{} bytes from itself", input.blocking_read(10).map_err(text)?.len()))
}

/// reset=ADDR: the peer resets.
fn reset(at: &str) -> Outcome {
    let s = connect_only(at).map_err(code)?;
    let (input, output) = finish(&s).map_err(code)?;
    output.blocking_write_and_flush(b"go").map_err(text)?;
    let read = match input.blocking_read(10) {
        Err(StreamError::LastOperationFailed(e)) => e.to_debug_string(),
        Err(StreamError::Closed) => "closed".to_string(),
        Ok(bytes) => format!("{} bytes", bytes.len()),
    };
    let wrote = loop {
        match output.blocking_write_and_flush(&[0; 4096]) {
            Ok(()) => continue,
            Err(StreamError::LastOperationFailed(e)) => break e.to_debug_string(),
            Err(StreamError::Closed) => break "closed".to_string(),
        }
    };
    Ok(format!("read: {read}; write: {wrote}"))
}

/// send=ADDR,BYTES: what a guest that ends right after writing has written arrives.
fn send(at: &str, bytes: usize) -> Outcome {
    let s = connect_only(at).map_err(code)?;
    let (_, output) = finish(&s).map_err(code)?;
    for piece in pattern(bytes).chunks(4096) {
        output.blocking_write_and_flush(piece).map_err(text)?;
    }
    Ok(format!("{bytes} written"))
}

/// datagram=ADDR,BYTES
fn datagram(at: &str, bytes: usize) -> Outcome {
    let s = create_udp_socket(family(at)).map_err(code)?;
    s.start_bind(&instance_network(), address("0.0.0.0:0")).map_err(code)?;
    s.finish_bind().map_err(code)?;
    let (_, out) = s.stream(None).map_err(code)?;
    out.check_send().map_err(code)?;
    let d = OutgoingDatagram { data: pattern(bytes), remote_address: Some(address(at)) };
    out.send(&[d]).map_err(code).map(|n| format!("{n} sent"))
}

fn bind(kind: &str, at: &str) -> Outcome {
    let (net, a) = (instance_network(), address(at));
    if kind == "udp" {
        create_udp_socket(family(at)).map_err(code)?.start_bind(&net, a).map_err(code)?;
    } else {
        let s = create_tcp_socket(family(at)).map_err(code)?;
        s.start_bind(&net, a).map_err(code)?;
        s.finish_bind().map_err(code)?;
        if kind == "listen" {
            s.start_listen().map_err(code)?;
        }
    }
    Ok("bound".to_string())
}

/// Many lookups, most given up.
fn lookups(name: &str, n: usize) -> Outcome {
    let net = instance_network();
    let (mut begun, mut refused) = (Vec::new(), 0);
    for _ in 0..n {
        match resolve_addresses(&net, name) {
            Ok(s) => begun.push(s),
            Err(_) => refused += 1,
        }
    }
    let last = begun.pop().ok_or("none")?;
    let first = begun.len();
    drop(begun);
    last.subscribe().block();
    Ok(format!("{} begun, {refused} refused, {}", first + 1, last.resolve_next_address().map_err(code)?.is_some()))
}

fn verb(arg: &str) -> Outcome {
    let (verb, values) = arg.split_once('=').unwrap_or((arg, ""));
    let v: Vec<&str> = values.split(',').collect();
    let number = |i: usize| v.get(i).and_then(|t| t.parse().ok()).unwrap_or(0usize);
    match verb {
        "get" => get(v[0], number(1)),
        "echo" => echo(v[0], number(1)),
        "udp" => udp(v[0]),
        "udp-serve" => udp_serve(v[0], number(1)),
        "lookup" => lookup(v[0]),
        "lookups" => lookups(v[0], number(1)),
        "connect" => connect(v[0]),
        "flood" => flood(v[0], number(1)),
        "hold" => hold(v[0]),
        "states" => states(v[0]),
        "drops" => drops(v[0]),
        "itself" => itself(),
        "reset" => reset(v[0]),
        "send" => send(v[0], number(1)),
        "datagram" => datagram(v[0], number(1)),
        "bind" => bind(v[0], v[1]),
        _ => Err("no such verb".to_string()),
    }
}

fn main() {
    let args: Vec<String> = match std::env::var("QUERY_STRING") {
        Ok(query) => {
            print!("Content-Type: text/plain\r\n\r\n");
            query.split('&').map(str::to_string).collect()
        }
        Err(_) => std::env::args().skip(1).collect(),
    };
    for arg in args {
        match verb(&arg) {
            Ok(said) => println!("{said}"),
            Err(why) => println!("error: {why}"),
        }
    }
}
