use percent_encoding::percent_decode_str;
use serde_json::json;
use wstd::http::{Body, Client, Error, Request, Response};

#[wstd::http_server]
async fn main(request: Request<Body>) -> Result<Response<Body>, Error> {
    let uri = request.uri();
    let query = |name: &str| {
        let pairs = url::form_urlencoded::parse(uri.query().unwrap_or("").as_bytes());
        pairs
            .into_iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    };
    if let Some(name) = uri.path().strip_prefix("/hello/") {
        let greeting = std::env::var("GREETING").unwrap_or("Hello".into());
        let name = percent_decode_str(name).decode_utf8_lossy();
        let body = json!({"greeting": greeting, "name": name}).to_string();
        return Ok(Response::builder()
            .header("content-type", "application/json")
            .body(body.into())?);
    }
    if let ("/fetch", Some(url)) = (uri.path(), query("url")) {
        let (head, body) = Client::new()
            .send(Request::get(url).body(Body::empty())?)
            .await?
            .into_parts();
        return Ok(Response::builder().status(head.status).body(body)?);
    }
    Ok(Response::builder().status(404).body(
        "There is /hello/NAME, and /fetch?url=URL.\n"
            .to_owned()
            .into(),
    )?)
}
