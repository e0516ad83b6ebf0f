use serde::{Deserialize, Serialize};
use spin_sdk::http::body::IncomingBodyExt;
use spin_sdk::http::{IntoResponse, Method, Request, Response};
use spin_sdk::key_value::Store;
use spin_sdk::sqlite::{Connection, Value};
use spin_sdk::{http_service, variables};

#[derive(Deserialize)]
struct New {
    text: String,
}

#[derive(Serialize)]
struct Note {
    id: i64,
    text: String,
}

/// The database, with its table.
async fn notes() -> anyhow::Result<Connection> {
    let db = Connection::open_default().await?;
    db.execute("create table if not exists notes (id integer primary key, text text not null)", []).await?.result().await?;
    Ok(db)
}

async fn list() -> anyhow::Result<String> {
    let mut rows = notes().await?.execute("select id, text from notes order by id", []).await?;
    let mut all = Vec::new();
    while let Some(row) = rows.next().await {
        all.push(Note { id: row.get(0).unwrap_or_default(), text: row.get::<&str>(1).unwrap_or_default().to_string() });
    }
    rows.result().await?;
    Ok(serde_json::to_string(&all)?)
}

async fn add(text: &str) -> anyhow::Result<String> {
    let db = notes().await?;
    db.execute("insert into notes (text) values (?)", [Value::Text(text.into())]).await?.result().await?;
    Ok(serde_json::to_string(&Note { id: db.last_insert_rowid().await, text: text.into() })?)
}

/// How often `/` was asked for.
async fn visit() -> anyhow::Result<u64> {
    let store = Store::open_default().await?;
    let before = store.get("visits").await?.and_then(|v| String::from_utf8(v).ok()).and_then(|v| v.parse().ok()).unwrap_or(0u64);
    store.set("visits", (before + 1).to_string()).await?;
    Ok(before + 1)
}

fn answer(status: u16, kind: &str, body: String) -> anyhow::Result<Response<String>> {
    Ok(Response::builder().status(status).header("content-type", kind).body(body)?)
}

#[http_service]
async fn handle(request: Request) -> anyhow::Result<impl IntoResponse> {
    let (head, body) = request.into_parts();
    match (&head.method, head.uri.path()) {
        (&Method::GET, "/") => {
            let greeting = variables::get("greeting").await?;
            answer(200, "text/plain", format!("{greeting}, visitor {}\n", visit().await?))
        }
        (&Method::GET, "/notes") => answer(200, "application/json", list().await?),
        (&Method::POST, "/notes") => match serde_json::from_slice::<New>(&body.bytes().await?) {
            Ok(new) => answer(201, "application/json", add(&new.text).await?),
            Err(e) => answer(400, "text/plain", format!("{e}\n")),
        },
        _ => answer(404, "text/plain", "There is no such page\n".into()),
    }
}
