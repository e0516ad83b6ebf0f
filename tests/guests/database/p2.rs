//! As a WASI 0.2 component.
use wasip2::clocks::monotonic_clock;
use wasip2::http::types::{Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam};

wasip2::http::proxy::export!(Guest);

struct Guest;

fn sleep(ms: u64) {
    monotonic_clock::subscribe_duration(ms * 1_000_000).block();
}

impl wasip2::exports::http::incoming_handler::Guest for Guest {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let path = request.path_with_query().unwrap_or_default();
        let mut body = vec![];
        let incoming = request.consume().unwrap();
        let stream = incoming.stream().unwrap();
        while let Ok(mut piece) = stream.blocking_read(1 << 16) {
            body.append(&mut piece);
        }
        drop(stream);
        if body.is_empty() {
            body.extend(b"{}");
        }
        let (status, answer) = crate::reached(&path, &serde_json::from_slice(&body).unwrap(), sleep);
        let fields = Fields::new();
        fields.set("content-type", &[b"application/json".to_vec()]).unwrap();
        let response = OutgoingResponse::new(fields);
        response.set_status_code(status).unwrap();
        let body = response.body().unwrap();
        ResponseOutparam::set(out, Ok(response));
        let stream = body.write().unwrap();
        for piece in answer.to_string().as_bytes().chunks(4096) {
            stream.blocking_write_and_flush(piece).unwrap();
        }
        drop(stream);
        OutgoingBody::finish(body, None).unwrap();
    }
}
