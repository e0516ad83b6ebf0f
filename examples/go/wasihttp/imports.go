package wasihttp

import "unsafe"

//go:wasmimport wasi:http/types@0.2.10 [method]incoming-request.method
func incomingRequestMethod(self int32, result unsafe.Pointer)

//go:wasmimport wasi:http/types@0.2.10 [method]incoming-request.path-with-query
func incomingRequestPathWithQuery(self int32, result unsafe.Pointer)

//go:wasmimport wasi:http/types@0.2.10 [method]incoming-request.authority
func incomingRequestAuthority(self int32, result unsafe.Pointer)

//go:wasmimport wasi:http/types@0.2.10 [method]incoming-request.headers
func incomingRequestHeaders(self int32) int32

//go:wasmimport wasi:http/types@0.2.10 [method]incoming-request.consume
func incomingRequestConsume(self int32, result unsafe.Pointer)

//go:wasmimport wasi:http/types@0.2.10 [resource-drop]incoming-request
func dropRequest(self int32)

//go:wasmimport wasi:http/types@0.2.10 [method]incoming-body.stream
func incomingBodyStream(self int32, result unsafe.Pointer)

//go:wasmimport wasi:http/types@0.2.10 [static]incoming-body.finish
func incomingBodyFinish(this int32) int32

//go:wasmimport wasi:http/types@0.2.10 [resource-drop]future-trailers
func dropTrailers(self int32)

//go:wasmimport wasi:http/types@0.2.10 [constructor]fields
func newFields() int32

//go:wasmimport wasi:http/types@0.2.10 [method]fields.append
func fieldsAppend(self int32, name, value string, result unsafe.Pointer)

//go:wasmimport wasi:http/types@0.2.10 [method]fields.entries
func fieldsEntries(self int32, result unsafe.Pointer)

//go:wasmimport wasi:http/types@0.2.10 [resource-drop]fields
func dropFields(self int32)

//go:wasmimport wasi:http/types@0.2.10 [constructor]outgoing-response
func newOutgoingResponse(headers int32) int32

//go:wasmimport wasi:http/types@0.2.10 [method]outgoing-response.set-status-code
func outgoingResponseSetStatusCode(self int32, code uint32) int32

//go:wasmimport wasi:http/types@0.2.10 [method]outgoing-response.body
func outgoingResponseBody(self int32, result unsafe.Pointer)

//go:wasmimport wasi:http/types@0.2.10 [static]response-outparam.set
func responseOutparamSet(param, isErr, a, b int32, c int64, d, e, f, g int32)

//go:wasmimport wasi:http/types@0.2.10 [method]outgoing-body.write
func outgoingBodyWrite(self int32, result unsafe.Pointer)

//go:wasmimport wasi:http/types@0.2.10 [static]outgoing-body.finish
func outgoingBodyFinish(this, someTrailers, trailers int32, result unsafe.Pointer)

//go:wasmimport wasi:http/types@0.2.10 [constructor]outgoing-request
func newOutgoingRequest(headers int32) int32

//go:wasmimport wasi:http/types@0.2.10 [method]outgoing-request.set-method
func outgoingRequestSetMethod(self int32, method uint32, other string) int32

//go:wasmimport wasi:http/types@0.2.10 [method]outgoing-request.set-scheme
func outgoingRequestSetScheme(self int32, some, scheme uint32, other string) int32

//go:wasmimport wasi:http/types@0.2.10 [method]outgoing-request.set-authority
func outgoingRequestSetAuthority(self int32, some uint32, authority string) int32

//go:wasmimport wasi:http/types@0.2.10 [method]outgoing-request.set-path-with-query
func outgoingRequestSetPathWithQuery(self int32, some uint32, path string) int32

//go:wasmimport wasi:http/types@0.2.10 [method]outgoing-request.body
func outgoingRequestBody(self int32, result unsafe.Pointer)

//go:wasmimport wasi:http/outgoing-handler@0.2.10 handle
func outgoingHandle(request, someOptions, options int32, result unsafe.Pointer)

//go:wasmimport wasi:http/types@0.2.10 [method]future-incoming-response.subscribe
func futureSubscribe(self int32) int32

//go:wasmimport wasi:http/types@0.2.10 [method]future-incoming-response.get
func futureGet(self int32, result unsafe.Pointer)

//go:wasmimport wasi:http/types@0.2.10 [resource-drop]future-incoming-response
func dropFuture(self int32)

//go:wasmimport wasi:http/types@0.2.10 [method]incoming-response.status
func incomingResponseStatus(self int32) uint32

//go:wasmimport wasi:http/types@0.2.10 [method]incoming-response.headers
func incomingResponseHeaders(self int32) int32

//go:wasmimport wasi:http/types@0.2.10 [method]incoming-response.consume
func incomingResponseConsume(self int32, result unsafe.Pointer)

//go:wasmimport wasi:http/types@0.2.10 [resource-drop]incoming-response
func dropResponse(self int32)

//go:wasmimport wasi:io/streams@0.2.10 [method]input-stream.blocking-read
func inputRead(self int32, most uint64, result unsafe.Pointer)

//go:wasmimport wasi:io/streams@0.2.10 [resource-drop]input-stream
func dropInput(self int32)

//go:wasmimport wasi:io/streams@0.2.10 [method]output-stream.blocking-write-and-flush
func outputWrite(self int32, p unsafe.Pointer, n uint32, result unsafe.Pointer)

//go:wasmimport wasi:io/streams@0.2.10 [resource-drop]output-stream
func dropOutput(self int32)

//go:wasmimport wasi:io/error@0.2.10 [resource-drop]error
func dropError(self int32)

//go:wasmimport wasi:io/poll@0.2.10 [method]pollable.block
func pollableBlock(self int32)

//go:wasmimport wasi:io/poll@0.2.10 [resource-drop]pollable
func dropPollable(self int32)
