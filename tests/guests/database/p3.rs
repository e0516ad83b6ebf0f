//! As a WASI 0.3 component: rows come as a stream.
use crate::orlo::database::{client::Connection, streams};
use serde_json::{Value as Json, json};
use wasip3::http::types::{ErrorCode, Fields, Request, Response};
use wasip3::{wit_bindgen, wit_future, wit_stream};

wasip3::http::service::export!(Guest);

struct Guest;

async fn run(told: Json) -> Json {
    let connection = match Connection::open(&crate::identity(&told["as"])) {
        Ok(c) => c,
        Err(e) => return crate::error(e),
    };
    let rows = match connection.query(&told["tree"].to_string(), &[]) {
        Ok(rows) => rows,
        Err(e) => return crate::error(e),
    };
    let columns = rows.columns();
    let (mut stream, done) = streams::read(rows);
    let most = told["most"].as_u64().unwrap_or(u64::MAX);
    let mut first = Json::Null;
    let mut count = 0;
    while count < most {
        let Some(row) = stream.next().await else { break };
        if count == 0 {
            first = crate::said_row(&row);
        }
        count += 1;
    }
    drop(stream);
    let all = done.await.map(|_| json!("ok")).unwrap_or_else(crate::error);
    json!({"columns": columns, "count": count, "first": first, "all": all})
}

impl wasip3::exports::http::handler::Guest for Guest {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let (_, told) = wit_future::new(|| Ok(()));
        let (mut body, trailers) = Request::consume_body(request, told);
        let mut bytes = vec![];
        while let Some(b) = body.next().await {
            bytes.push(b);
        }
        drop((body, trailers));
        let answer = run(serde_json::from_slice(&bytes).unwrap()).await.to_string();
        let (mut to, from) = wit_stream::new();
        let (over, is_over) = wit_future::new(|| Ok(None));
        let (response, _) = Response::new(Fields::new(), Some(from), is_over);
        drop(over);
        wit_bindgen::spawn(async move {
            to.write_all(answer.into_bytes()).await;
        });
        Ok(response)
    }
}
