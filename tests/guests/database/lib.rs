//! Guests that ask their app's database what a test tells them to (tests/apps/guests_test.py): a request's body says as whom, and step by step what.
#![cfg_attr(feature = "p3", allow(dead_code))]
use serde_json::{Value as Json, json};

wit_bindgen::generate!({ path: "../../../wit/orlo/deps/database", world: "guest", inline: "
  package test:guests;
  world guest { import orlo:database/client@0.1.0; import orlo:database/streams@0.1.0; }
", generate_all });

use orlo::database::client::{AsRole, Connection, Error, Identity, Row, Rows, Transaction, Value};

#[cfg(not(feature = "p3"))]
mod p2;
#[cfg(feature = "p3")]
mod p3;

fn value(v: &Json) -> Value {
    let Json::Object(o) = v else {
        return match v {
            Json::Null => Value::Null,
            Json::Bool(b) => Value::Boolean(*b),
            Json::Number(n) => n.as_i64().map(Value::Integer).unwrap_or_else(|| Value::Real(n.as_f64().unwrap())),
            Json::String(s) => Value::Text(s.clone()),
            _ => Value::Json(v.to_string()),
        };
    };
    let (kind, of) = o.iter().next().unwrap();
    match kind.as_str() {
        "numeric" => Value::Numeric(of.as_str().unwrap().into()),
        "json" => Value::Json(of.as_str().unwrap().into()),
        "bytes" => Value::Bytes(of.as_str().unwrap().bytes().collect()),
        "text" => Value::Text(of.as_str().unwrap().repeat(o["times"].as_u64().unwrap() as usize)),
        "real" => Value::Real(of.as_str().unwrap().parse().unwrap()),
        _ => panic!("no kind of value"),
    }
}

fn said(v: &Value) -> Json {
    match v {
        Value::Null => Json::Null,
        Value::Boolean(b) => json!(b),
        Value::Integer(i) => json!(i),
        Value::Real(r) => json!({"real": r.to_string()}),
        Value::Numeric(s) => json!({"numeric": s}),
        Value::Text(s) => json!(s),
        Value::Bytes(b) => json!({"bytes": b}),
        Value::Json(s) => json!({"json": s}),
    }
}

fn error(e: Error) -> Json {
    json!({"error": e.code, "message": e.message, "detail": e.detail, "hint": e.hint})
}

fn said_row(row: &Row) -> Json {
    row.values.iter().map(said).collect()
}

fn all(rows: Rows, most: u32) -> Json {
    let mut out = vec![];
    loop {
        match rows.next(most) {
            Ok(page) if page.is_empty() => break,
            Ok(page) => out.extend(page.iter().map(said_row)),
            Err(e) => return error(e),
        }
    }
    json!({"columns": rows.columns(), "rows": out, "affected": rows.affected(), "total": rows.total()})
}

fn tree(step: &Json) -> String {
    match &step[1] {
        Json::String(s) => s.clone(),
        v => v.to_string(),
    }
}

fn parameters(step: &Json) -> Vec<Value> {
    step[2].as_array().map(|a| a.iter().map(value).collect()).unwrap_or_default()
}

fn identity(v: &Json) -> Identity {
    match v {
        Json::String(s) if s == "caller" => Identity::Caller,
        Json::String(s) if s == "service" => Identity::Service,
        _ => Identity::Role(AsRole { name: v["role"].as_str().unwrap().into(), claims: v["claims"].as_str().unwrap_or("").into() }),
    }
}

/// What a guest has while it does what it is told.
struct Doing {
    connection: Option<Connection>,
    transactions: Vec<Transaction>,
    kept: Vec<Rows>,
    sleep: fn(u64),
}

impl Doing {
    fn tx(&self) -> &Transaction {
        self.transactions.last().expect("no transaction")
    }

    fn step(&mut self, step: &Json) -> Json {
        let done = |r: Result<(), Error>| r.map(|_| json!("ok")).unwrap_or_else(error);
        match step[0].as_str().unwrap() {
            "open" => match Connection::open(&identity(&step[1])) {
                Ok(c) => {
                    self.connection = Some(c);
                    json!("ok")
                }
                Err(e) => error(e),
            },
            "query" => match self.connection.as_ref().unwrap().query(&tree(step), &parameters(step)) {
                Ok(rows) => all(rows, step[3].as_u64().unwrap_or(1000) as u32),
                Err(e) => error(e),
            },
            "count" => match self.connection.as_ref().unwrap().query(&tree(step), &parameters(step)) {
                Ok(rows) => {
                    let mut n = 0;
                    while let Ok(page) = rows.next(1000) {
                        if page.is_empty() {
                            break;
                        }
                        n += page.len();
                    }
                    json!(n)
                }
                Err(e) => error(e),
            },
            "keep" => match self.connection.as_ref().unwrap().query(&tree(step), &parameters(step)) {
                Ok(rows) => {
                    self.kept.push(rows);
                    json!("ok")
                }
                Err(e) => error(e),
            },
            "begin" => match self.connection.as_ref().unwrap().begin() {
                Ok(t) => {
                    self.transactions.push(t);
                    json!("ok")
                }
                Err(e) => error(e),
            },
            "tx" => match self.tx().query(&tree(step), &parameters(step)) {
                Ok(rows) => all(rows, 1000),
                Err(e) => error(e),
            },
            "commit" => done(self.tx().commit()),
            "rollback" => done(self.tx().rollback()),
            "drop" => {
                self.transactions.pop();
                json!("ok")
            }
            "sleep" => {
                (self.sleep)(step[1].as_u64().unwrap());
                json!("ok")
            }
            "trap" => panic!("as told"),
            "compute" => loop {
                std::hint::black_box(0);
            },
            "times" => {
                let mut last = Json::Null;
                for _ in 0..step[1].as_u64().unwrap() {
                    for s in step[2].as_array().unwrap() {
                        last = self.step(s);
                    }
                }
                last
            }
            other => panic!("no step {other}"),
        }
    }
}

fn run(body: &Json, sleep: fn(u64)) -> Json {
    let mut doing = Doing { connection: None, transactions: vec![], kept: vec![], sleep };
    body["steps"].as_array().unwrap().iter().map(|s| doing.step(s)).collect()
}

/// What the app's database asks of a function, or tells it.
fn reached(path: &str, body: &Json, sleep: fn(u64)) -> (u16, Json) {
    if let Some(name) = path.strip_prefix("/rest/v1/rpc/") {
        return match body {
            Json::Object(o) if o.contains_key("steps") => (200, run(body, sleep)),
            Json::Object(o) if o.contains_key("status") => (o["status"].as_u64().unwrap() as u16, json!({"message": "as told"})),
            _ => (200, json!({"function": name, "args": body})),
        };
    }
    if path == "/trigger" {
        // A row may say what its trigger is to do.
        let told = &body["record"]["do"];
        if told["fail"].as_bool() == Some(true) {
            return (500, json!("as told"));
        }
        let service = Connection::open(&Identity::Service).unwrap();
        let into = told["into"].as_str().unwrap_or("heard").to_string();
        let row = if into == "heard" { json!({"payload": {"$": 1}}) } else { json!({"do": {"$": 2}}) };
        let insert = json!({"kind": "insert", "from": into, "rows": [row]}).to_string();
        return match service.query(&insert, &[Value::Json(body.to_string()), Value::Json(told.to_string())]) {
            Ok(_) => (200, json!("ok")),
            Err(e) => (500, error(e)),
        };
    }
    if path == "/computed" {
        let rows = body["rows"].as_array().unwrap();
        if rows.iter().any(|r| r["title"] == "trap") {
            panic!("as told");
        }
        if rows.iter().any(|r| r["title"] == "few") {
            return (200, json!([]));
        }
        let values: Vec<Json> = rows.iter().map(|r| json!(format!("{}!{}", r["title"].as_str().unwrap_or("?"), rows.len()))).collect();
        return (200, json!(values));
    }
    (200, run(body, sleep))
}
