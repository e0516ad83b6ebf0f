import asyncio
import json
from urllib.parse import parse_qs, unquote, urlsplit

import poll_loop
from componentize_py_types import Ok
from wit_world import exports
from wit_world.imports import environment
from wit_world.imports.types import Fields, OutgoingRequest, OutgoingResponse, ResponseOutparam, Scheme_Http, Scheme_Https


async def handle(request):
    """Status, content type, and a body of bytes."""
    url = urlsplit(request.path_with_query())
    if url.path.startswith("/hello/"):
        greeting = dict(environment.get_environment()).get("GREETING", "Hello")
        return 200, "application/json", json.dumps({"greeting": greeting, "name": unquote(url.path[7:])}).encode()
    if url.path == "/fetch":
        return await fetch(parse_qs(url.query)["url"][0])
    return 404, "text/plain", b"There is /hello/NAME, and /fetch?url=URL.\n"


async def fetch(url):
    url = urlsplit(url)
    request = OutgoingRequest(Fields())
    request.set_scheme(Scheme_Https() if url.scheme == "https" else Scheme_Http())
    request.set_authority(url.netloc)
    request.set_path_with_query((url.path or "/") + ("?" + url.query if url.query else ""))
    response = await poll_loop.send(request)
    stream, body = poll_loop.Stream(response.consume()), b""
    while (piece := await stream.next()) is not None:
        body += piece
    return response.status(), "application/octet-stream", body


async def answer(request, out):
    status, kind, body = await handle(request)
    response = OutgoingResponse(Fields.from_list([("content-type", kind.encode()), ("content-length", str(len(body)).encode())]))
    response.set_status_code(status)
    sink = poll_loop.Sink(response.body())
    ResponseOutparam.set(out, Ok(response))
    await sink.send(body)
    sink.close()


class IncomingHandler(exports.IncomingHandler):
    def handle(self, request, response_out):
        loop = poll_loop.PollLoop()
        asyncio.set_event_loop(loop)
        loop.run_until_complete(answer(request, response_out))
