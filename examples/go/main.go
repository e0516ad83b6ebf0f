package main

import (
	"encoding/json"
	"io"
	"net/http"
	"os"

	"app/wasihttp"
)

var client = http.Client{Transport: wasihttp.Transport{}}

func init() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /hello/{name}", hello)
	mux.HandleFunc("GET /fetch", fetch)
	wasihttp.Handle(mux)
}

func hello(w http.ResponseWriter, r *http.Request) {
	greeting, ok := os.LookupEnv("GREETING")
	if !ok {
		greeting = "Hello"
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]string{"greeting": greeting, "name": r.PathValue("name")})
}

func fetch(w http.ResponseWriter, r *http.Request) {
	response, err := client.Get(r.FormValue("url"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer response.Body.Close()
	w.WriteHeader(response.StatusCode)
	io.Copy(w, response.Body)
}

func main() {}
