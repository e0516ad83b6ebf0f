// Package wasihttp joins net/http to wasi:http 0.2: Handle says who answers, Transport sends.
//
// The imports are those of ../wit, by hand: each takes its operands flattened, and leaves a result that is larger than a word at
// an address that it is given. A list or string in a result lies in memory that cabi_realloc gave; it is copied at once.
package wasihttp

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"unsafe"
)

var handler http.Handler = http.DefaultServeMux

// Handle sets what answers requests: call it from an init function, since main does not run.
func Handle(h http.Handler) { handler = h }

var methods = [...]string{"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"}

//go:wasmexport wasi:http/incoming-handler@0.2.10#handle
func handle(request, outparam int32) {
	incomingRequestMethod(request, result())
	method := text(4)
	if tag := int(byteAt(0)); tag < len(methods) {
		method = methods[tag]
	}
	incomingRequestPathWithQuery(request, result())
	target := optionalText()
	incomingRequestAuthority(request, result())
	authority := optionalText()
	w := &writer{header: http.Header{}, outparam: outparam}
	incomingRequestConsume(request, result())
	body := newBody(word(4))
	if u, err := url.ParseRequestURI(target); err != nil {
		w.WriteHeader(http.StatusBadRequest)
	} else {
		handler.ServeHTTP(w, &http.Request{Method: method, URL: u, RequestURI: target, Host: authority, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
			Header: header(incomingRequestHeaders(request)), Body: body, ContentLength: -1})
	}
	w.WriteHeader(http.StatusOK)
	body.Close()
	dropRequest(request)
	dropOutput(w.stream)
	outgoingBodyFinish(w.body, 0, 0, result())
}

// writer is a http.ResponseWriter.
type writer struct {
	header                 http.Header
	outparam, body, stream int32
	begun                  bool
}

func (w *writer) Header() http.Header { return w.header }

func (w *writer) WriteHeader(status int) {
	if w.begun {
		return
	}
	w.begun = true
	response := newOutgoingResponse(fields(w.header))
	outgoingResponseSetStatusCode(response, uint32(status))
	outgoingResponseBody(response, result())
	w.body = word(4)
	responseOutparamSet(w.outparam, 0, response, 0, 0, 0, 0, 0, 0)
	outgoingBodyWrite(w.body, result())
	w.stream = word(4)
}

func (w *writer) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return write(w.stream, p)
}

func write(stream int32, p []byte) (int, error) {
	const most = 4096 // of one call, says the interface
	for done := 0; ; done += most {
		if done >= len(p) {
			return len(p), nil
		}
		piece := p[done:min(done+most, len(p))]
		outputWrite(stream, unsafe.Pointer(unsafe.SliceData(piece)), uint32(len(piece)), result())
		if byteAt(0) != 0 {
			return done, io.ErrClosedPipe
		}
	}
}

// body is what is left of an incoming body.
type body struct{ body, stream int32 }

func newBody(handle int32) *body {
	incomingBodyStream(handle, result())
	return &body{handle, word(4)}
}

func (b *body) Read(p []byte) (int, error) {
	if b.body == 0 {
		return 0, http.ErrBodyReadAfterClose
	}
	for {
		inputRead(b.stream, uint64(min(len(p), len(lent)/2)), result())
		if byteAt(0) == 0 {
			if n := copy(p, text(4)); n > 0 || len(p) == 0 {
				return n, nil
			}
		} else if byteAt(4) == 0 {
			dropError(word(8))
			return 0, io.ErrUnexpectedEOF
		} else {
			return 0, io.EOF
		}
	}
}

func (b *body) Close() error {
	if b.body != 0 {
		dropInput(b.stream)
		dropTrailers(incomingBodyFinish(b.body))
		b.body = 0
	}
	return nil
}

// Transport is a http.RoundTripper: &http.Client{Transport: wasihttp.Transport{}}.
type Transport struct{}

func (Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	request := newOutgoingRequest(fields(r.Header))
	method, scheme := uint32(len(methods)), uint32(1)
	for i, name := range methods {
		if name == r.Method {
			method = uint32(i)
		}
	}
	if r.URL.Scheme == "http" {
		scheme = 0
	}
	outgoingRequestSetMethod(request, method, r.Method)
	outgoingRequestSetScheme(request, 1, scheme, "")
	outgoingRequestSetAuthority(request, 1, r.URL.Host)
	outgoingRequestSetPathWithQuery(request, 1, r.URL.RequestURI())
	outgoingRequestBody(request, result())
	upload := word(4)
	outgoingHandle(request, 0, 0, result())
	if byteAt(0) != 0 {
		return nil, failure(8)
	}
	future := word(8)
	err := send(upload, r.Body)
	ready := futureSubscribe(future)
	pollableBlock(ready)
	dropPollable(ready)
	futureGet(future, result())
	failed, response := byteAt(16) != 0, word(24)
	if failed {
		err = failure(24)
	}
	dropFuture(future)
	if err != nil {
		return nil, err
	}
	incomingResponseConsume(response, result())
	download := newBody(word(4))
	answer := &http.Response{StatusCode: int(incomingResponseStatus(response)), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header(incomingResponseHeaders(response)), Body: download, ContentLength: -1, Request: r}
	answer.Status = fmt.Sprint(answer.StatusCode, " ", http.StatusText(answer.StatusCode))
	dropResponse(response)
	return answer, nil
}

func send(upload int32, from io.ReadCloser) (err error) {
	if from != nil {
		outgoingBodyWrite(upload, result())
		stream := word(4)
		_, err = io.Copy(writeFunc(func(p []byte) (int, error) { return write(stream, p) }), from)
		from.Close()
		dropOutput(stream)
	}
	outgoingBodyFinish(upload, 0, 0, result())
	return err
}

type writeFunc func(p []byte) (int, error)

func (f writeFunc) Write(p []byte) (int, error) { return f(p) }

// failure is the error-code at an offset of a result.
func failure(at uintptr) error {
	return errors.New("wasi:http error-code " + fmt.Sprint(byteAt(at)) + " (../wit/deps/http/types.wit lists them)")
}

func fields(h http.Header) int32 {
	f := newFields()
	for name, values := range h {
		for _, v := range values {
			fieldsAppend(f, strings.ToLower(name), v, result())
		}
	}
	return f
}

func header(f int32) http.Header {
	h := http.Header{}
	fieldsEntries(f, result())
	type entry struct{ name, nameLen, value, valueLen uint32 }
	for _, e := range unsafe.Slice((*entry)(unsafe.Add(unsafe.Pointer(nil), word(0))), word(4)) {
		h.Add(bytesAt(e.name, e.nameLen), bytesAt(e.value, e.valueLen))
	}
	dropFields(f)
	return h
}

// ---- results ----

var (
	area [8]uint64
	lent [1 << 20]byte // what cabi_realloc gives out
	used uintptr
	kept uintptr // of that, what was given before the first request: the adapter's, for good
)

func init() { kept = used }

// result is where the next call puts its result; that of the last call is not needed any more.
func result() unsafe.Pointer {
	used = kept
	return unsafe.Pointer(&area)
}

func byteAt(at uintptr) byte { return *(*byte)(unsafe.Add(unsafe.Pointer(&area), at)) }
func word(at uintptr) int32  { return *(*int32)(unsafe.Add(unsafe.Pointer(&area), at)) }

// text is the string, or bytes, whose address and length are at an offset of the result.
func text(at uintptr) string { return bytesAt(uint32(word(at)), uint32(word(at+4))) }

// optionalText is the result option<string>.
func optionalText() string {
	if byteAt(0) == 0 {
		return ""
	}
	return text(4)
}

func bytesAt(p, n uint32) string { return string(unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(nil), p)), n)) }

// No heap: it may be called before there is one, and while the guest may call nobody.
//
//go:wasmexport cabi_realloc
func cabiRealloc(old unsafe.Pointer, oldSize, align, size uint32) unsafe.Pointer {
	at := (uintptr(unsafe.Pointer(&lent))+used+uintptr(align)-1)&^(uintptr(align)-1) - uintptr(unsafe.Pointer(&lent))
	if at+uintptr(size) > uintptr(len(lent)) {
		panic("a list or string from the host is too large")
	}
	used = at + uintptr(size)
	to := unsafe.Pointer(&lent[at])
	if old != nil {
		copy(unsafe.Slice((*byte)(to), size), unsafe.Slice((*byte)(old), oldSize))
	}
	return to
}
