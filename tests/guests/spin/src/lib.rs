//! A guest of Spin's SDK for tests: each path asks one interface, in each of its versions, and answers with what came of it as text.
//! Made with `cargo build --release --target wasm32-wasip2`; what comes out is ../spin.wasm.
use spin_sdk::{http::Request, http::body::IncomingBodyExt, http_service, key_value, sqlite, variables};
use std::fmt::{Debug, Write};

mod host {
    use spin_sdk::wit_bindgen;
    wit_bindgen::generate!({ runtime_path: "spin_sdk::wit_bindgen::rt", world: "host", path: "../../../wit/spin", generate_all });
}
mod before {
    use spin_sdk::wit_bindgen;
    wit_bindgen::generate!({ runtime_path: "spin_sdk::wit_bindgen::rt", world: "host", path: "../../../wit/spin-1", generate_all });
}
mod pg3 {
    use spin_sdk::wit_bindgen;
    wit_bindgen::generate!({ runtime_path: "spin_sdk::wit_bindgen::rt", world: "host", path: "../../../wit/spin-postgres-3", generate_all });
}
use before::fermyon::spin as v1;
use host::fermyon::spin as v2;
use host::wasi::keyvalue as wasi;

type Args<'a> = &'a [String];

fn show<T: Debug, E: Debug>(r: Result<T, E>) -> String {
    match r {
        Ok(v) => format!("{v:?}"),
        Err(e) => format!("error {e:?}"),
    }
}
fn text(v: Option<Vec<u8>>) -> Option<String> {
    v.map(|v| if v.len() > 64 { format!("{} bytes", v.len()) } else { String::from_utf8_lossy(&v).into_owned() })
}
/// "x*1000": that many of them.
fn value(s: &str) -> Vec<u8> {
    match s.split_once('*') {
        Some((v, n)) => v.repeat(n.parse().unwrap()).into_bytes(),
        None => s.as_bytes().to_vec(),
    }
}

/// STORE OP [KEY [VALUE]]
async fn keys3(a: Args<'_>) -> String {
    let store = match key_value::Store::open(&a[0]).await {
        Ok(s) => s,
        Err(e) => return format!("error {e:?}"),
    };
    match a[1].as_str() {
        "get" => show(store.get(&a[2]).await.map(text)),
        "set" => show(store.set(&a[2], value(&a[3])).await),
        "delete" => show(store.delete(&a[2]).await),
        "exists" => show(store.exists(&a[2]).await),
        "keys" => show(store.get_keys().await.collect().await),
        "count" => show(store.get_keys().await.collect().await.map(|k| k.len())),
        "first" => show(Ok::<_, ()>(store.get_keys().await.next().await)), // and lets go of the rest
        _ => "?".into(),
    }
}
fn keys2(a: Args<'_>) -> String {
    let store = match v2::key_value::Store::open(&a[0]) {
        Ok(s) => s,
        Err(e) => return format!("error {e:?}"),
    };
    match a[1].as_str() {
        "get" => show(store.get(&a[2]).map(text)),
        "set" => show(store.set(&a[2], &value(&a[3]))),
        "delete" => show(store.delete(&a[2])),
        "exists" => show(store.exists(&a[2])),
        "keys" => show(store.get_keys()),
        "count" => show(store.get_keys().map(|k| k.len())),
        "open" => show((0..a[2].parse::<u32>().unwrap()).map(|_| v2::key_value::Store::open("default")).collect::<Result<Vec<_>, _>>().map(|v| v.len())),
        _ => "?".into(),
    }
}
fn keys1(a: Args<'_>) -> String {
    use v1::key_value as kv;
    let store = match a[0].parse().map_err(|_| ()).or_else(|_| kv::open(&a[0]).map_err(|e| format!("error {e:?}"))) {
        Ok(s) => s,
        Err(e) => return e,
    };
    let said = match a[1].as_str() {
        "get" => show(kv::get(store, &a[2]).map(|v| text(Some(v)))),
        "set" => show(kv::set(store, &a[2], &value(&a[3]))),
        "delete" => show(kv::delete(store, &a[2])),
        "exists" => show(kv::exists(store, &a[2])),
        "keys" => show(kv::get_keys(store)),
        _ => "?".into(),
    };
    kv::close(store);
    said
}
fn keys_wasi(a: Args<'_>) -> String {
    let bucket = match wasi::store::open(&a[0]) {
        Ok(s) => s,
        Err(e) => return format!("error {e:?}"),
    };
    let pairs = || a[2..].chunks(2).map(|p| (p[0].clone(), value(&p[1]))).collect::<Vec<_>>();
    match a[1].as_str() {
        "get" => show(bucket.get(&a[2]).map(text)),
        "set" => show(bucket.set(&a[2], &value(&a[3]))),
        "delete" => show(bucket.delete(&a[2])),
        "exists" => show(bucket.exists(&a[2])),
        "keys" => show(bucket.list_keys(None).map(|r| (r.keys, r.cursor))),
        "pages" => {
            let (mut n, mut pages, mut cursor) = (0, 0, None);
            loop {
                match bucket.list_keys(cursor.as_deref()) {
                    Ok(r) => (n, pages, cursor) = (n + r.keys.len(), pages + 1, r.cursor),
                    Err(e) => return format!("error {e:?}"),
                }
                if cursor.is_none() {
                    return format!("{n} keys in {pages} pages");
                }
            }
        }
        "many" => show(wasi::batch::get_many(&bucket, &a[2..]).map(|l| l.into_iter().map(|(k, v)| (k, text(v))).collect::<Vec<_>>())),
        "fill" => show(wasi::batch::set_many(&bucket, &(0..a[2].parse::<u32>().unwrap()).map(|i| (format!("key-{i:08}"), b"v".to_vec())).collect::<Vec<_>>())),
        "set-many" => show(wasi::batch::set_many(&bucket, &pairs())),
        "delete-many" => show(wasi::batch::delete_many(&bucket, &a[2..])),
        "add" => show(wasi::atomics::increment(&bucket, &a[2], a[3].parse().unwrap())),
        // Reads, has another write in between if there is a fifth word, swaps, and tries again with what it was given.
        "swap" => {
            let cas = match wasi::atomics::Cas::new(&bucket, &a[2]) {
                Ok(c) => c,
                Err(e) => return format!("error {e:?}"),
            };
            let mut said = show(cas.current().map(text));
            if let Some(between) = a.get(4) {
                said += &show(bucket.set(&a[2], &value(between)));
            }
            match wasi::atomics::swap(cas, &value(&a[3])) {
                Ok(()) => said + " swapped",
                Err(wasi::atomics::CasError::CasFailed(cas)) => {
                    said += &format!(" failed {}", show(cas.current().map(text)));
                    said + if wasi::atomics::swap(cas, &value(&a[3])).is_ok() { " swapped" } else { " failed again" }
                }
                Err(e) => format!("error {e:?}"),
            }
        }
        _ => "?".into(),
    }
}

fn row(values: impl IntoIterator<Item = String>) -> String {
    values.into_iter().collect::<Vec<_>>().join("|")
}
/// DATABASE; a statement a line, all on one connection; "?1" is the number 1, "?text" a text, behind a tab each.
async fn sql3(database: &str, lines: &str) -> String {
    let db = match sqlite::Connection::open(database).await {
        Ok(c) => c,
        Err(e) => return format!("error {e:?}"),
    };
    let mut out = String::new();
    for line in lines.lines() {
        let mut words = line.split('\t');
        let statement = words.next().unwrap();
        let values = words.map(|w| w.parse().map(sqlite::Value::Integer).unwrap_or(sqlite::Value::Text(w.into())));
        match db.execute(statement, values.collect::<Vec<_>>()).await {
            Err(e) => _ = writeln!(out, "error {e:?}"),
            Ok(mut r) => {
                let columns = r.columns().to_vec();
                let mut n = 0;
                while let Some(got) = r.next().await {
                    n += 1;
                    if n <= 3 {
                        _ = writeln!(out, "{}", row(got.values.iter().map(|v| format!("{v:?}"))));
                    }
                }
                _ = writeln!(out, "{} {n} rows {:?} id {} changes {}", columns.join(","), r.result().await, db.last_insert_rowid().await, db.changes().await);
            }
        }
    }
    out
}
fn sql2(database: &str, lines: &str) -> String {
    let db = match v2::sqlite::Connection::open(database) {
        Ok(c) => c,
        Err(e) => return format!("error {e:?}"),
    };
    let mut out = String::new();
    for line in lines.lines() {
        match db.execute(line, &[]) {
            Err(e) => _ = writeln!(out, "error {e:?}"),
            Ok(r) => _ = writeln!(out, "{} {}", r.columns.join(","), row(r.rows.iter().map(|r| format!("{:?}", r.values)))),
        }
    }
    out
}
fn sql1(database: &str, lines: &str) -> String {
    let db = match database.parse().map_err(|_| ()).or_else(|_| v1::sqlite::open(database).map_err(|e| format!("error {e:?}"))) {
        Ok(c) => c,
        Err(e) => return e,
    };
    let mut out = String::new();
    for line in lines.lines() {
        match v1::sqlite::execute(db, line, &[]) {
            Err(e) => _ = writeln!(out, "error {e:?}"),
            Ok(r) => _ = writeln!(out, "{} {}", r.columns.join(","), row(r.rows.iter().map(|r| format!("{:?}", r.values)))),
        }
    }
    v1::sqlite::close(db);
    out
}

async fn variable(a: Args<'_>) -> String {
    let name = a[0].as_str();
    format!(
        "{}\n{}\n{}\n{}\n",
        show(variables::get(name).await),
        show(v2::variables::get(name)),
        show(v1::config::get_config(name)),
        show(host::wasi::config::store::get(name)),
    )
}

/// What nobody answers here: each says so.
async fn elsewhere() -> String {
    let mut out = String::new();
    let mut say = |s: String| _ = writeln!(out, "{s}");
    say(show(spin_sdk::redis::Connection::open("redis://127.0.0.1").await.map(|_| ())));
    say(show(v2::redis::Connection::open("redis://127.0.0.1").map(|_| ())));
    say(show(v1::redis::get("redis://127.0.0.1", "k")));
    say(show(spin_sdk::mqtt::Connection::open("mqtt://127.0.0.1", "", "", 5).await.map(|_| ())));
    say(show(v2::mqtt::Connection::open("mqtt://127.0.0.1", "", "", 5).map(|_| ())));
    say(show(spin_sdk::mysql::Connection::open("mysql://127.0.0.1").await.map(|_| ())));
    say(show(v2::mysql::Connection::open("mysql://127.0.0.1").map(|_| ())));
    say(show(v1::mysql::execute("mysql://127.0.0.1", "select 1", &[])));
    say(show(spin_sdk::pg::Connection::open("postgres://127.0.0.1").await.map(|_| ())));
    say(show(pg3::spin::postgres::postgres::Connection::open("postgres://127.0.0.1").map(|_| ())));
    say(show(v2::postgres::Connection::open("postgres://127.0.0.1").map(|_| ())));
    say(show(v1::postgres::execute("postgres://127.0.0.1", "select 1", &[])));
    say(show(host::spin::postgres::postgres::ConnectionBuilder::new("postgres://127.0.0.1").build().map(|_| ())));
    say(show(spin_sdk::llm::infer(spin_sdk::llm::InferencingModel::Llama2Chat, "hello")));
    say(show(v1::llm::generate_embeddings("m", &["t".into()])));
    out
}

#[http_service]
async fn handle(req: Request) -> String {
    let path = req.uri().path().trim_matches('/').to_string();
    let a: Vec<String> = req.uri().query().unwrap_or("").split('&').map(|s| s.replace("%20", " ")).collect();
    let body = req.into_body().bytes().await.map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_default();
    match path.as_str() {
        "keys3" => keys3(&a).await,
        "keys2" => keys2(&a),
        "keys1" => keys1(&a),
        "keys" => keys_wasi(&a),
        "sql3" => sql3(&a[0], &body).await,
        "sql2" => sql2(&a[0], &body),
        "sql1" => sql1(&a[0], &body),
        "variable" => variable(&a).await,
        "config" => show(host::wasi::config::store::get_all()),
        "elsewhere" => elsewhere().await,
        _ => "hello".into(),
    }
}
