//! POST /rest/v1/rpc/order {"item": "book", "count": 2} answers {"order": 1, "left": 1}; what is out of stock is 409, and nothing has changed.
//! POST /trigger {"type": "UPDATE", "table": "items", "record": {…}, …}: the node tells of a change, and of what runs low a row is kept.
use serde_json::{Value as Json, json};
use wstd::http::{Body, Request, Response};

wit_bindgen::generate!({ path: "wit", world: "app", inline: "
  package app:stock;
  world app { import orlo:database/client@0.1.0; }
", generate_all });
use orlo::database::client::{Connection, Error, Identity, Value};

enum Failure {
    OutOfStock,
    Database(Error),
}
impl From<Error> for Failure {
    fn from(e: Error) -> Failure {
        Failure::Database(e)
    }
}

/// The number in the first column of the first row.
fn number(rows: &orlo::database::client::Rows) -> Result<Option<i64>, Error> {
    Ok(match rows.next(1)?.first().and_then(|row| row.values.first()) {
        Some(Value::Integer(n)) => Some(*n),
        _ => None,
    })
}

fn order(item: &str, count: i64) -> Result<Json, Failure> {
    // As whoever called: what he may not see he cannot order.
    let caller = Connection::open(&Identity::Caller)?;
    let seen = caller.query(
        r#"{"from": "items", "select": ["stock"], "where": {"column": "name", "op": "eq", "value": {"$": 1}}}"#,
        &[Value::Text(item.into())],
    )?;
    if number(&seen)?.is_none() {
        return Err(Failure::OutOfStock);
    }
    let me = caller.query(r#"{"kind": "call", "function": "me"}"#, &[])?.next(1)?;
    let customer = me.into_iter().next().and_then(|row| row.values.into_iter().next()).unwrap_or(Value::Null);
    // The rest is the shop's: all of it, or nothing.
    let tx = Connection::open(&Identity::Service)?.begin()?;
    let left = number(&tx.query(
        r#"{"from": "items", "select": ["stock"], "where": {"column": "name", "op": "eq", "value": {"$": 1}}}"#,
        &[Value::Text(item.into())],
    )?)?
    .unwrap_or(0)
        - count;
    if left < 0 {
        return Err(Failure::OutOfStock); // dropped, it is rolled back
    }
    tx.query(
        r#"{"kind": "update", "from": "items", "set": {"stock": {"$": 2}}, "where": {"column": "name", "op": "eq", "value": {"$": 1}}}"#,
        &[Value::Text(item.into()), Value::Integer(left)],
    )?;
    let order = number(&tx.query(
        r#"{"kind": "insert", "from": "orders", "rows": [{"item": {"$": 1}, "count": {"$": 2}, "customer": {"$": 3}}], "select": ["id"]}"#,
        &[Value::Text(item.into()), Value::Integer(count), customer],
    )?)?;
    tx.commit()?;
    Ok(json!({"order": order, "left": left}))
}

/// Told twice of one change, it does the same.
fn note_low(row: &Json) -> Result<(), Error> {
    let (item, left) = (row["name"].as_str().unwrap_or(""), row["stock"].as_i64().unwrap_or(0));
    let shop = Connection::open(&Identity::Service)?;
    if left >= 2 {
        return Ok(());
    }
    shop.query(
        r#"{"kind": "insert", "from": "low", "rows": [{"item": {"$": 1}, "stock": {"$": 2}}], "conflict": {"do": "merge"}}"#,
        &[Value::Text(item.into()), Value::Integer(left)],
    )?;
    Ok(())
}

#[wstd::http_server]
async fn main(request: Request<Body>) -> Result<Response<Body>, wstd::http::Error> {
    let told = request.uri().path() == "/trigger";
    let mut body = request.into_body();
    let args: Json = serde_json::from_slice(body.contents().await?).unwrap_or_default();
    if told {
        let status = if note_low(&args["record"]).is_ok() { 204 } else { 500 }; // which is told again
        return Ok(Response::builder().status(status).body(Body::empty())?);
    }
    let (status, answer) = match order(args["item"].as_str().unwrap_or(""), args["count"].as_i64().unwrap_or(0)) {
        Ok(answer) => (200, answer),
        Err(Failure::OutOfStock) => (409, json!({"code": "PT409", "message": "not in stock", "details": null, "hint": null})),
        Err(Failure::Database(e)) => (400, json!({"code": e.code, "message": e.message, "details": e.detail, "hint": e.hint})),
    };
    Ok(Response::builder().status(status).header("content-type", "application/json").body(answer.to_string().into())?)
}
